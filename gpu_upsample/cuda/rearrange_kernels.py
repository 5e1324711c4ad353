"""The CUDA kernels that move samples about; written as those of `kernels.py` are.

A thread owns a few neighbouring scalars of one row, its lanes. Rows are short as often as long, so threads are
numbered through all of them. `lanes` of a specialisation divides the length of the rows, and `access` is how many
scalars are loaded or stored at once: fewer than all lanes where an array does not begin at a multiple of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.kernels import build_number, build_split, index_of, word_of


@dataclass(frozen=True)
class ShuffleSpec:
    """A specialisation of the shuffle kernel: by size, not by type.

    Attributes
    ----------
    itemsize, words : int
        A pixel is so many words of so many bytes.
    factor : int
        Small rows of a large one, to be unrolled; 0 for a run-time number.
    enlarge : bool
        Whether small rows become large ones.
    lanes, access : int
        Words that a thread owns of every small row, and how many it moves at once.
    wide : bool
        Whether flat indices need 64 bits.
    """

    itemsize: int
    words: int
    factor: int
    enlarge: bool
    lanes: int
    access: int
    wide: bool


@dataclass(frozen=True)
class UnfoldSpec:
    """A specialisation of the unfolding kernel: by size, not by type. Fields as in `ShuffleSpec`."""

    itemsize: int
    words: int
    lanes: int
    access: int
    wide: bool


@dataclass(frozen=True)
class FoldSpec:
    """A specialisation of the folding kernel.

    Attributes
    ----------
    source, result : str
        The stored scalars.
    bias : str
        The scalar of the bias, empty where there is none.
    parts : int
        Scalars of an element.
    taps : int
        The largest number of windows along a row that reach a sample, to be unrolled; -1 for a run-time number.
    lanes, access, wide
        As in `ShuffleSpec`.
    """

    source: str
    result: str
    bias: str
    parts: int
    taps: int
    lanes: int
    access: int
    wide: bool


def _build_place(machine: Any, index: Any) -> Callable[..., Any]:
    """Return the function that says which row a thread works on, and which of the row's groups of lanes it owns."""
    number_of, split = build_number(machine, index), build_split(machine, index)

    @machine.inline
    def place(groups):
        return split(number_of(), index(groups))

    return place


# ---- shuffle ------------------------------------------------------------------------------------------------
def build_shuffle(machine: Any, spec: ShuffleSpec) -> Callable[..., None]:
    """Return the kernel that moves pixels between one large row and its small ones."""
    plus, mad = machine.plus, machine.mad
    memory, load, load_lanes, store_lanes = machine.memory, machine.load, machine.load_lanes, machine.store_lanes

    word, index = word_of(spec), index_of(spec)
    split = build_split(machine, index)
    WORDS, FACTOR, ENLARGE, LANES, ACCESS = spec.words, spec.factor, spec.enlarge, spec.lanes, spec.access
    OWNED, PARTS = max(1, FACTOR) * LANES, LANES // ACCESS
    place = _build_place(machine, index)

    def kernel(x, y, total, groups, rows_large, rows_small, width, apart, factor, rows):
        row, group = place(groups)
        if row >= index(total):
            return
        width, apart, count = index(width), index(apart), index(factor)
        plane, o = split(row, index(rows_large))
        first = mad(plane, index(rows_small), index(load(rows, o)))
        j = index(group * index(LANES))
        short = mad(first, width, j)
        long = mad(index(row * width), count, index(j * count))
        distance = index(apart * width)

        values, part = memory.local.array(OWNED, word), memory.local.array(ACCESS, word)
        if FACTOR and ENLARGE:
            for q in range(FACTOR):
                for a in range(PARTS):
                    load_lanes(x, plus(mad(index(q), distance, short), index(a * ACCESS)), part, ACCESS)
                    for i in range(ACCESS):
                        lane = a * ACCESS + i
                        values[(lane // WORDS * FACTOR + q) * WORDS + lane % WORDS] = part[i]
            for a in range(PARTS * FACTOR):
                for i in range(ACCESS):
                    part[i] = values[a * ACCESS + i]
                store_lanes(y, plus(long, index(a * ACCESS)), part, ACCESS)
        elif FACTOR:
            for a in range(PARTS * FACTOR):
                load_lanes(x, plus(long, index(a * ACCESS)), part, ACCESS)
                for i in range(ACCESS):
                    values[a * ACCESS + i] = part[i]
            for q in range(FACTOR):
                for a in range(PARTS):
                    for i in range(ACCESS):
                        lane = a * ACCESS + i
                        part[i] = values[(lane // WORDS * FACTOR + q) * WORDS + lane % WORDS]
                    store_lanes(y, plus(mad(index(q), distance, short), index(a * ACCESS)), part, ACCESS)
        else:  # one pixel of every small row
            turn = index(0)
            while turn < count:
                near, far = mad(turn, distance, short), mad(turn, index(WORDS), long)
                for i in range(WORDS):
                    if ENLARGE:
                        part[0] = load(x, plus(near, index(i)))
                        store_lanes(y, plus(far, index(i)), part, 1)
                    else:
                        part[0] = load(x, plus(far, index(i)))
                        store_lanes(y, plus(near, index(i)), part, 1)
                turn = plus(turn, index(1))

    return kernel


def shuffle_signature(spec: ShuffleSpec) -> Any:
    """Return the types of the shuffle kernel's parameters."""
    pointer = types.CPointer
    array = pointer(word_of(spec))
    return types.void(array, array, *[types.uint64] * 7, pointer(types.uint32))


# ---- unfold -------------------------------------------------------------------------------------------------
def build_unfold(machine: Any, spec: UnfoldSpec) -> Callable[..., None]:
    """Return the kernel that copies the samples under one tap."""
    plus, mad = machine.plus, machine.mad
    memory, load, store_lanes = machine.memory, machine.load, machine.store_lanes

    word, index, narrow = word_of(spec), index_of(spec), types.uint32
    split = build_split(machine, index)
    WORDS, LANES, ACCESS = spec.words, spec.lanes, spec.access
    PARTS = LANES // ACCESS
    place = _build_place(machine, index)
    NOWHERE = 2**32 - 1

    def kernel(x, y, total, groups, rows_out, rows_in, width_out, width_in, stride, rows, shift):
        row, group = place(groups)
        if row >= index(total):
            return
        plane, o = split(row, index(rows_out))
        source, shifted = load(rows, o), load(shift, o)
        j = index(group * index(LANES))
        begin = index(mad(plane, index(rows_in), index(source)) * index(width_in))
        part = memory.local.array(ACCESS, word)
        for a in range(PARTS):
            for i in range(ACCESS):
                at = plus(j, index(a * ACCESS + i))
                window, extra = split(at, index(WORDS))
                # Before the first sample, the place wraps to one far beyond the last.
                sample = mad(narrow(window), narrow(stride), shifted)
                part[i] = word(0)
                if source != narrow(NOWHERE) and sample < narrow(width_in):
                    part[i] = load(x, mad(plus(begin, index(sample)), index(WORDS), extra))
            store_lanes(y, plus(mad(row, index(width_out), j), index(a * ACCESS)), part, ACCESS)

    return kernel


def unfold_signature(spec: UnfoldSpec) -> Any:
    """Return the types of the unfolding kernel's parameters."""
    pointer = types.CPointer
    array, table = pointer(word_of(spec)), pointer(types.uint32)
    return types.void(array, array, *[types.uint64] * 7, table, table)


# ---- fold ---------------------------------------------------------------------------------------------------
def build_fold(machine: Any, spec: FoldSpec) -> Callable[..., None]:
    """Return the kernel that adds up the columns that reach a sample."""
    fma, widen, narrow = machine.fma, machine.widen, machine.narrow
    plus, mad = machine.plus, machine.mad
    memory, load, store_lanes = machine.memory, machine.load, machine.store_lanes

    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    BIAS = arithmetic.kind_of(spec.bias or spec.source)
    HAS_BIAS, PARTS, TAPS, LANES, ACCESS = bool(spec.bias), spec.parts, spec.taps, spec.lanes, spec.access
    real, carrier_out = arithmetic.accumulator_of(RESULT), arithmetic.carrier_of(RESULT)
    index = index_of(spec)
    split = build_split(machine, index)
    place = _build_place(machine, index)

    def kernel(
        columns, y, bias, total, groups, channels, samples_deep, samples_high, width,
        deep_windows, deep_taps, deep_window_step, deep_tap_step,
        high_windows, high_taps, high_window_step, high_tap_step,
        wide_windows, wide_taps, wide_window_step, wide_tap_step,
        deep_window, deep_tap, deep_count, high_window, high_tap, high_count, wide_window, wide_tap, wide_count,
    ):  # fmt: skip
        row, group = place(groups)
        if row >= index(total):
            return
        one, unit = index(1), real(1.0)
        above, h = split(row, index(samples_high))
        image, d = split(above, index(samples_deep))
        j = index(group * index(LANES))

        # Within the columns, a tap of the row lies `length` scalars behind the one before it.
        length = index(index(index(deep_windows) * index(high_windows)) * index(wide_windows) * index(PARTS))
        step = index(index(index(wide_tap_step) * length) - index(index(wide_window_step) * index(PARTS)))
        at, count = memory.local.array(LANES, index), memory.local.array(LANES, types.uint32)
        sums = memory.local.array(LANES, real)
        for lane in range(LANES):
            sample, extra = split(plus(j, index(lane)), index(PARTS))
            inside = mad(index(load(wide_window, sample)), index(PARTS), extra)
            at[lane] = mad(index(load(wide_tap, sample)), length, inside)
            count[lane] = load(wide_count, sample)
            sums[lane] = real(-0.0)

        pairs_deep, pairs_high = index(load(deep_count, d)), index(load(high_count, h))
        first_deep, first_high = index(load(deep_window, d)), index(load(high_window, h))
        tap_deep, tap_high = index(load(deep_tap, d)), index(load(high_tap, h))
        a = index(0)
        while a < pairs_deep:
            window_d = index(first_deep - index(a * index(deep_window_step)))
            tap_d = mad(a, index(deep_tap_step), tap_deep)
            b = index(0)
            while b < pairs_high:
                window_h = index(first_high - index(b * index(high_window_step)))
                tap_h = mad(b, index(high_tap_step), tap_high)
                tap = mad(mad(image, index(deep_taps), tap_d), index(high_taps), tap_h)
                begin = mad(window_d, index(high_windows), window_h)
                begin = mad(index(tap * index(wide_taps)), length, index(begin * index(wide_windows) * index(PARTS)))
                for lane in range(LANES):
                    here = plus(begin, at[lane])
                    if TAPS >= 0:
                        for k in range(TAPS):
                            if types.uint32(k) < count[lane]:
                                value = load(columns, mad(index(k), step, here))
                                sums[lane] = fma(unit, widen(SOURCE, value), sums[lane])
                    else:
                        pair = index(0)
                        while pair < index(count[lane]):
                            value = load(columns, mad(pair, step, here))
                            sums[lane] = fma(unit, widen(SOURCE, value), sums[lane])
                            pair = plus(pair, one)
                b = plus(b, one)
            a = plus(a, one)

        part = memory.local.array(ACCESS, carrier_out)
        _, channel = split(image, index(channels))
        for lane in range(LANES):
            if pairs_deep == index(0) or pairs_high == index(0) or count[lane] == types.uint32(0):
                sums[lane] = real(0.0)
            if HAS_BIAS:
                sample, extra = split(plus(j, index(lane)), index(PARTS))
                value = load(bias, mad(channel, index(PARTS), extra))
                sums[lane] = fma(unit, widen(BIAS, value), sums[lane])
            part[lane % ACCESS] = narrow(RESULT, sums[lane])
            if lane % ACCESS == ACCESS - 1:
                begin = mad(row, index(width), plus(j, index(lane - (ACCESS - 1))))
                store_lanes(y, begin, part, ACCESS)

    return kernel


def fold_signature(spec: FoldSpec) -> Any:
    """Return the types of the folding kernel's parameters."""
    source, result, bias = (arithmetic.carrier_of(arithmetic.kind_of(k)) for k in (
        spec.source, spec.result, spec.bias or spec.source,
    ))  # fmt: skip
    pointer, size = types.CPointer, types.uint64
    return types.void(pointer(source), pointer(result), pointer(bias), *[size] * 18, *[pointer(types.uint32)] * 9)
