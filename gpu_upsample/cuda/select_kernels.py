"""The CUDA kernel that copies selected samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from gpu_upsample.cuda.kernels import build_number, build_split, build_strip, index_of, word_of
from gpu_upsample.cuda.pieces import build_pieces


@dataclass(frozen=True)
class SelectSpec:
    """A specialisation of the selection kernel: by size, not by type.

    Attributes
    ----------
    itemsize : int
        Bytes of a scalar.
    rows, columns : bool
        Whether rows and columns are selected; otherwise they stay as they are.
    phases, step, shift : int
        The period of the columns, where the samples of a thread's lanes lie alike in every thread; 0 elsewhere.
        Pixel i of a thread lies ``(i * step + shift) // phases`` pixels behind the first.
    inner, lanes, fill, wide, pieces
        As in `FilterSpec`.
    """

    itemsize: int
    rows: bool
    columns: bool
    phases: int
    step: int
    shift: int
    inner: int
    lanes: int
    fill: bool
    wide: bool
    pieces: int = 1


def build_select(machine: Any, spec: SelectSpec) -> Callable[..., None]:
    """Return the kernel that copies selected samples."""
    plus, mad = machine.plus, machine.mad
    memory, load, load_near = machine.memory, machine.load, machine.load_near

    word, index = word_of(spec), index_of(spec)
    ROWS, COLUMNS, LANES, FILL, INNER = spec.rows, spec.columns, spec.lanes, spec.fill, spec.inner
    PIXEL, SPAN, PHASES, STEP, SHIFT = max(1, INNER), spec.phases > 0, max(1, spec.phases), spec.step, spec.shift
    REACH = (((LANES - 1) // PIXEL * STEP + SHIFT) // PHASES + 1) * PIXEL
    OWN, PIECE = 1 if SPAN else LANES, LANES // spec.pieces
    number_of, split, strip_of = build_number(machine, index), build_split(machine, index), build_strip(machine, index)
    pieces = build_pieces(machine, spec, index)
    full_of, place_of = pieces.full, pieces.place
    load_pieces, store_pieces = pieces.loading(word), pieces.storing(word, machine.store_lanes)
    NOWHERE = 2**32 - 1

    @machine.inline
    def chosen_place(here, inner, columns):
        """Return where the sample of a place in an output row lies in its source row, and whether it lies there."""
        if INNER == 1:
            chosen = load(columns, here)
            return index(chosen), chosen != types.uint32(NOWHERE)
        column, channel = split(here, inner)
        chosen = load(columns, column)
        return mad(index(chosen), inner, channel), chosen != types.uint32(NOWHERE)

    def kernel(
        x, y, planes, across, strips, strip, rows_in, rows_out, width_in, width_out, inner, rows, columns,
        whole_start, whole_stop, lanes, fill,
    ):  # fmt: skip
        one, inner = index(1), index(INNER if INNER else inner)
        unit, number = split(number_of(), index(across))
        plane, o, last = strip_of(unit, strips, strip, rows_out)
        if plane >= index(planes):
            return

        j, between = index(number * index(PIECE)), index(index(across) * index(PIECE))
        full = full_of(j, between, width_out)
        at, inside = memory.local.array(OWN, index), memory.local.array(OWN, types.boolean)
        whole = SPAN and j >= index(whole_start) and plus(j, index(LANES)) <= index(whole_stop)
        if COLUMNS:
            for lane in range(OWN):
                at[lane], inside[lane] = chosen_place(place_of(lane, j, between, width_out), inner, columns)
        values, samples = memory.local.array(LANES, word), memory.local.array(REACH, word)
        before, loaded = index(0), False
        while o < last:
            source, nowhere = o, False
            if ROWS:
                chosen = load(rows, o)
                source, nowhere = index(chosen), FILL and chosen == types.uint32(NOWHERE)
            if nowhere:
                for lane in range(LANES):
                    values[lane] = word(fill)
                loaded = False
            elif not (loaded and source == before):  # a repeated row is still in the registers
                begin = index(mad(plane, index(rows_in), source) * index(width_in))
                if whole:
                    first = plus(begin, at[0])
                    for k in range(REACH):
                        samples[k] = load_near(x, first, k)
                    for lane in range(LANES):
                        values[lane] = samples[(lane // PIXEL * STEP + SHIFT) // PHASES * PIXEL + lane % PIXEL]
                elif SPAN:
                    for number in range(lanes):  # a loop that the compiler must keep: the last results move up
                        first, known = chosen_place(plus(j, index(number)), inner, columns)
                        for lane in range(LANES - 1):
                            values[lane] = values[lane + 1]
                        values[LANES - 1] = word(fill) if FILL and not known else load(x, plus(begin, first))
                elif COLUMNS:
                    for lane in range(LANES):
                        if FILL and not inside[lane]:
                            values[lane] = word(fill)
                        else:
                            values[lane] = load(x, plus(begin, at[lane]))
                else:
                    load_pieces(x, plus(begin, j), between, full, values)
                before, loaded = source, True
            begin = index(mad(plane, index(rows_out), o) * index(width_out))
            store_pieces(y, plus(begin, j), between, full, values)
            o = plus(o, one)

    return kernel


def select_signature(spec: SelectSpec) -> Any:
    """Return the types of the selection kernel's parameters."""
    pointer, size = types.CPointer, types.uint64
    array, table = pointer(word_of(spec)), pointer(types.uint32)
    return types.void(array, array, *[size] * 9, table, table, *[size] * 4)
