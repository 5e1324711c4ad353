"""The CUDA kernels of max unpooling (see `kernels.py`).

No atomic operation on floating-point numbers: the sources of each output vote by an atomic maximum of their
positions, so the last of them wins in whatever order the threads run, and then every output fetches its winner, or is
zero.

Windows that tile the output need no votes where each index lies in the window of its sample, as after pooling: one
pass fills them. It sets a flag if a sample strayed. Then two more kernels let the sources vote, and place those that
won; as long as the flag is not set, they end at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from gpu_upsample.cuda.flags import OUT_OF_RANGE, STRAYED
from gpu_upsample.cuda.kernels import THREADS, build_number, build_split, index_of, stored_index_of, word_of

SOURCES = 8
"""Sources of a thread that votes or places."""


@dataclass(frozen=True)
class FillSpec:
    """A specialisation of the kernel that fills windows which tile the output: by size, not by type.

    Attributes
    ----------
    itemsize, parts : int
        Bytes of a word, and words of a sample.
    indices : str
        Type of the indices.
    length : int
        Samples of a window along a row.
    windows : int
        Neighbouring windows of a thread, all in one row.
    wide : bool
        Whether flat indices need 64 bits.
    """

    itemsize: int
    parts: int
    indices: str
    length: int
    windows: int
    wide: bool


@dataclass(frozen=True)
class VoteSpec:
    """A specialisation of the voting kernel.

    Attributes
    ----------
    indices : str
        Type of the indices.
    wide : bool
        Whether flat indices need 64 bits.
    only_if_strayed : bool
        Whether it ends at once as long as no index has strayed.
    """

    indices: str
    wide: bool
    only_if_strayed: bool = False


@dataclass(frozen=True)
class PlaceSpec:
    """A specialisation of the kernel that places the winners once an index has strayed: as in `FillSpec`."""

    itemsize: int
    parts: int
    indices: str
    wide: bool


@dataclass(frozen=True)
class FetchSpec:
    """A specialisation of the fetching kernel: by size, not by type.

    Attributes
    ----------
    itemsize, parts : int
        Bytes of a word, and words of a sample.
    lanes : int
        Neighbouring words of a thread; a multiple of `parts`, or 1.
    wide : bool
        Whether flat indices need 64 bits.
    """

    itemsize: int
    parts: int
    lanes: int
    wide: bool


def build_fill(machine: Any, spec: FillSpec) -> Callable[..., None]:
    """Return the kernel that fills windows, each from its own sample.

    A sample whose index lies elsewhere leaves its window empty and clears the vote for its place.
    """
    plus, mad = machine.plus, machine.mad
    memory, load_lanes, store_lanes, atomic_max = (
        machine.memory, machine.load_lanes, machine.store_lanes, machine.atomic_max,
    )  # fmt: skip
    word, index, chosen_type = word_of(spec), index_of(spec), stored_index_of(spec)
    number_of, split = build_number(machine, index), build_split(machine, index)
    LENGTH, WINDOWS, PARTS, NOWHERE = spec.length, spec.windows, spec.parts, 2**64 - 1 if spec.wide else 2**32 - 1
    TAKEN, FILLED = WINDOWS * PARTS, WINDOWS * LENGTH * PARTS

    def kernel(x, y, indices, winners, flags, total, depth_in, rows_in, width_in, depth_taps, row_taps):
        q = index(number_of() * index(WINDOWS))
        if q >= index(total):
            return
        row, column = split(q, index(width_in))
        slab, r = split(row, index(rows_in))
        plane, level = split(slab, index(depth_in))
        width, rows = index(index(width_in) * index(LENGTH)), index(index(rows_in) * index(row_taps))
        n_out = index(index(index(depth_in) * index(depth_taps)) * index(rows * width))
        base = index(plane * n_out)

        samples, values = memory.local.array(TAKEN, word), memory.local.array(FILLED, word)
        chosen, place = memory.local.array(WINDOWS, chosen_type), memory.local.array(WINDOWS, index)
        strayed, nobody = memory.local.array(WINDOWS, types.boolean), memory.local.array(1, index)
        load_lanes(x, index(q * index(PARTS)), samples, TAKEN)
        load_lanes(indices, q, chosen, WINDOWS)
        for window in range(WINDOWS):
            inside = types.uint64(types.int64(chosen[window])) < types.uint64(n_out)  # a negative one becomes large
            place[window] = index(chosen[window]) if inside else index(NOWHERE)
            strayed[window] = True

        a = index(0)
        while a < index(depth_taps):
            b = index(0)
            while b < index(row_taps):
                line = mad(mad(level, index(depth_taps), a), rows, mad(r, index(row_taps), b))
                begin = mad(line, width, index(column * index(LENGTH)))
                for window in range(WINDOWS):
                    for k in range(LENGTH):
                        own = place[window] == plus(begin, index(window * LENGTH + k))
                        strayed[window] = strayed[window] and not own
                        for part in range(PARTS):
                            value = samples[window * PARTS + part]
                            values[(window * LENGTH + k) * PARTS + part] = value if own else word(0)
                store_lanes(y, index(plus(base, begin) * index(PARTS)), values, FILLED)
                b = plus(b, index(1))
            a = plus(a, index(1))

        nobody[0] = index(0)
        for window in range(WINDOWS):
            if strayed[window]:
                atomic_max(flags, types.uint32(STRAYED), types.uint32(1))
                if place[window] != index(NOWHERE):
                    store_lanes(winners, plus(base, place[window]), nobody, 1)

    return kernel


def fill_signature(spec: FillSpec) -> Any:
    """Return the types of the filling kernel's parameters."""
    pointer, array = types.CPointer, types.CPointer(word_of(spec))
    indices, winners = pointer(stored_index_of(spec)), pointer(index_of(spec))
    return types.void(array, array, indices, winners, pointer(types.uint32), *[types.uint64] * 6)


def build_vote(machine: Any, spec: VoteSpec) -> Callable[..., None]:
    """Return the kernel in which every source votes for itself where its index points.

    A vote is the flat position of the source plus one, so zero means nobody; after `build_fill`, whatever was in that
    memory stands where no sample strayed to.
    """
    plus, mad, quotient, block, thread = machine.plus, machine.mad, machine.quotient, machine.block, machine.thread
    load, atomic_max, index, ONLY_IF_STRAYED = machine.load, machine.atomic_max, index_of(spec), spec.only_if_strayed

    def kernel(indices, winners, flags, total, n_in, n_out):
        # A kernel of another stream may set that flag meanwhile: either answer will do.
        if ONLY_IF_STRAYED and load(flags, types.uint32(STRAYED)) == types.uint32(0):
            return
        first = mad(index(block()), index(THREADS * SOURCES), index(thread()))
        for turn in range(SOURCES):
            q = plus(first, index(turn * THREADS))
            if q < index(total):
                plane = quotient(q, index(n_in))
                chosen = types.uint64(types.int64(load(indices, q)))  # a negative index becomes a large one
                if chosen < n_out:
                    atomic_max(winners, mad(plane, index(n_out), index(chosen)), plus(q, index(1)))
                else:
                    atomic_max(flags, types.uint32(OUT_OF_RANGE), types.uint32(1))

    return kernel


def vote_signature(spec: VoteSpec) -> Any:
    """Return the types of the voting kernel's parameters."""
    pointer, size = types.CPointer, types.uint64
    return types.void(pointer(stored_index_of(spec)), pointer(index_of(spec)), pointer(types.uint32), *[size] * 3)


def build_place(machine: Any, spec: PlaceSpec) -> Callable[..., None]:
    """Return the kernel in which every source that won is put into its place, if any index has strayed.

    Where no sample strayed to, votes are what was in that memory: if they let a source win, it is in its place already.
    """
    plus, mad, quotient, block, thread = machine.plus, machine.mad, machine.quotient, machine.block, machine.thread
    memory, load, store_lanes = machine.memory, machine.load, machine.store_lanes
    word, index, PARTS = word_of(spec), index_of(spec), spec.parts

    def kernel(x, y, indices, winners, flags, total, n_in, n_out):
        # As above. If the votes were not counted, none of this call's samples has strayed.
        if load(flags, types.uint32(STRAYED)) == types.uint32(0):
            return
        value = memory.local.array(1, word)
        first = mad(index(block()), index(THREADS * SOURCES), index(thread()))
        for turn in range(SOURCES):
            q = plus(first, index(turn * THREADS))
            if q < index(total):
                chosen = types.uint64(types.int64(load(indices, q)))  # a negative index becomes a large one
                if chosen < n_out:
                    place = mad(quotient(q, index(n_in)), index(n_out), index(chosen))
                    if load(winners, place) == plus(q, index(1)):
                        for part in range(PARTS):
                            value[0] = load(x, mad(q, index(PARTS), index(part)))
                            store_lanes(y, mad(place, index(PARTS), index(part)), value, 1)

    return kernel


def place_signature(spec: PlaceSpec) -> Any:
    """Return the types of the placing kernel's parameters."""
    pointer, array = types.CPointer, types.CPointer(word_of(spec))
    indices, winners = pointer(stored_index_of(spec)), pointer(index_of(spec))
    return types.void(array, array, indices, winners, pointer(types.uint32), *[types.uint64] * 3)


def build_fetch(machine: Any, spec: FetchSpec) -> Callable[..., None]:
    """Return the kernel in which every output fetches its winner, or is zero."""
    plus, mad = machine.plus, machine.mad
    memory, load, load_lanes, store_lanes = machine.memory, machine.load, machine.load_lanes, machine.store_lanes
    word, index = word_of(spec), index_of(spec)
    number_of, split = build_number(machine, index), build_split(machine, index)
    LANES, PARTS, VECTOR = spec.lanes, spec.parts, spec.parts == 1

    def kernel(x, y, winners, total):
        q = index(number_of() * index(LANES))
        if q >= index(total):
            return
        values, votes = memory.local.array(LANES, word), memory.local.array(LANES, index)
        if VECTOR:
            load_lanes(winners, q, votes, LANES)
        for lane in range(LANES):
            part = index(0)
            if not VECTOR:
                place = plus(q, index(lane))
                sample, part = split(place, index(PARTS))
                votes[lane] = load(winners, sample)
            values[lane] = word(0)
            if votes[lane] > index(0):
                values[lane] = load(x, mad(index(votes[lane] - index(1)), index(PARTS), part))
        store_lanes(y, q, values, LANES)

    return kernel


def fetch_signature(spec: FetchSpec) -> Any:
    """Return the types of the fetching kernel's parameters."""
    array = types.CPointer(word_of(spec))
    return types.void(array, array, types.CPointer(index_of(spec)), types.uint64)
