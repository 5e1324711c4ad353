"""Where the lanes of a thread lie in a line: in pieces of neighbours, which are loaded and stored together.

A line is dealt to its threads like cards, piece by piece: neighbouring threads own neighbouring pieces, and those of a
thread lie as far apart as all threads reach. Its last piece may lie beyond the end of the line. So a warp stores
neighbours at once, however few of them one access may take where a row begins.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


def build_pieces(machine: Any, spec: Any, index: Any) -> SimpleNamespace:
    """Return the functions that know where lanes lie.

    Of all of them, ``j`` is where the first lane lies, in a line or an array, and the pieces lie ``between`` apart.

    - ``full(j, between, width)``: whether all pieces lie in a line of that width.
    - ``place(lane, j, between, width)``: the place of a lane in the line; of one beyond its end, the last place.
    - ``loading(word)`` returns ``load(x, j, between, full, lanes)``: load all lanes, which are of that type, or, if
      they are not `full`, all but the last piece.
    - ``storing(word, store_lanes)`` returns ``store(y, j, between, full, lanes)``: store them so.
    """
    plus, mad, memory = machine.plus, machine.mad, machine.memory
    LANES, PIECES, PIECE = spec.lanes, spec.pieces, spec.lanes // spec.pieces

    @machine.inline
    def full(j, between, width):
        return PIECES == 1 or mad(index(PIECES - 1), between, j) < index(width)

    @machine.inline
    def place(lane, j, between, width):
        found = plus(mad(index(lane // PIECE), between, j), index(lane % PIECE))
        return min(found, index(width - 1)) if PIECES > 1 and lane >= LANES - PIECE else found

    def loading(word: Any) -> Callable[..., None]:
        load_lanes = machine.load_lanes

        @machine.inline
        def load(x, j, between, full, lanes):
            part = memory.local.array(PIECE, word)
            for piece in range(PIECES):
                if piece < PIECES - 1 or full:
                    load_lanes(x, mad(index(piece), between, j), part, PIECE)
                    for lane in range(PIECE):
                        lanes[piece * PIECE + lane] = part[lane]

        return load

    def storing(word: Any, store_lanes: Any) -> Callable[..., None]:
        @machine.inline
        def store(y, j, between, full, lanes):
            part = memory.local.array(PIECE, word)
            for piece in range(PIECES):
                if piece < PIECES - 1 or full:
                    for lane in range(PIECE):
                        part[lane] = lanes[piece * PIECE + lane]
                    store_lanes(y, mad(index(piece), between, j), part, PIECE)

        return store

    return SimpleNamespace(full=full, place=place, loading=loading, storing=storing)
