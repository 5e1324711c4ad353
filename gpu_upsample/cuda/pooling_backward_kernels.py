"""The CUDA kernels of the gradients of max pooling and unpooling (see `kernels.py`).

Every thread gathers what is its own, so no element is written twice and no sum depends on the order of threads. The
sources of an unpooling vote as in the forward pass (see `unpooling_kernels.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.flags import OUT_OF_RANGE
from gpu_upsample.cuda.kernels import build_number, build_split, index_of, stored_index_of, word_of


@dataclass(frozen=True)
class WindowsSpec:
    """A specialisation of the kernel that checks indices.

    Attributes
    ----------
    indices : str
        Type of the indices.
    dilated : bool
        Whether windows have gaps.
    wide : bool
        Whether flat indices need 64 bits.
    """

    indices: str
    dilated: bool
    wide: bool


@dataclass(frozen=True)
class PoolBackwardSpec:
    """A specialisation of the kernel of the pooling gradient.

    Attributes
    ----------
    scalar : str
        The stored scalar.
    indices : str
        Type of the indices.
    columns : int
        The most windows along a row that reach a sample, to be unrolled; 0 for a run-time number.
    lanes : int
        Neighbouring samples of a thread, all in one row.
    wide : bool
        Whether flat indices need 64 bits.
    """

    scalar: str
    indices: str
    columns: int
    lanes: int
    wide: bool


@dataclass(frozen=True)
class UnpoolBackwardSpec:
    """A specialisation of the kernel of the unpooling gradient: by size, not by type.

    Attributes
    ----------
    itemsize, parts : int
        Bytes of a word, and words of a sample.
    indices : str
        Type of the indices.
    wide : bool
        Whether flat indices need 64 bits.
    """

    itemsize: int
    parts: int
    indices: str
    wide: bool


# ---- pooling ------------------------------------------------------------------------------------------------
def build_windows(machine: Any, spec: WindowsSpec) -> Callable[..., None]:
    """Return the kernel that sets a flag if the index of a window names no sample of it."""
    plus, load, atomic_max = machine.plus, machine.load, machine.atomic_max
    index, DILATED = index_of(spec), spec.dilated
    number_of, split = build_number(machine, index), build_split(machine, index)

    @machine.inline
    def meets(place, window, taps, stride, padding, dilation):
        """Say whether a window meets a place of an axis; a place before its begin wraps around to one far behind."""
        offset = index(plus(place, padding) - index(window * stride))
        if not DILATED:
            return offset < taps
        tap, between = split(offset, dilation)
        return tap < taps and between == index(0)

    def kernel(
        indices, flag, total, depth_in, rows_in, width_in, depth_out, rows_out, width_out,
        depth_taps, row_taps, column_taps, depth_stride, row_stride, column_stride,
        depth_padding, row_padding, column_padding, depth_dilation, row_dilation, column_dilation,
    ):  # fmt: skip
        q = number_of()
        if q >= index(total):
            return
        chosen = types.uint64(types.int64(load(indices, q)))  # a negative index becomes a large one
        inside = chosen < types.uint64(depth_in) * types.uint64(rows_in) * types.uint64(width_in)
        if inside:
            row, column = split(index(chosen), index(width_in))
            level, row = split(row, index(rows_in))
            window_row, window_column = split(q, index(width_out))
            window_level, window_row = split(window_row, index(rows_out))
            _, window_level = split(window_level, index(depth_out))
            inside = (
                meets(level, window_level, index(depth_taps), index(depth_stride), index(depth_padding),
                      index(depth_dilation))
                and meets(row, window_row, index(row_taps), index(row_stride), index(row_padding), index(row_dilation))
                and meets(column, window_column, index(column_taps), index(column_stride), index(column_padding),
                          index(column_dilation))
            )  # fmt: skip
        if not inside:
            atomic_max(flag, types.uint32(OUT_OF_RANGE), types.uint32(1))

    return kernel


def windows_signature(spec: WindowsSpec) -> Any:
    """Return the types of the parameters of the kernel that checks indices."""
    pointer = types.CPointer
    return types.void(pointer(stored_index_of(spec)), pointer(types.uint32), *[types.uint64] * 19)


def build_pool_backward(machine: Any, spec: PoolBackwardSpec) -> Callable[..., None]:
    """Return the kernel that adds up the gradients of the windows that chose each sample."""
    fma, widen, narrow = machine.fma, machine.widen, machine.narrow
    plus, mad = machine.plus, machine.mad
    memory, load, store_lanes = machine.memory, machine.load, machine.store_lanes

    KIND = arithmetic.kind_of(spec.scalar)
    real, carrier, index = arithmetic.accumulator_of(KIND), arithmetic.carrier_of(KIND), index_of(spec)
    number_of, split = build_number(machine, index), build_split(machine, index)
    COLUMNS, LANES = spec.columns, spec.lanes

    @machine.inline
    def gather(grad, indices, window, position, sums, lane):
        """Add the gradient of a window to the sum of a lane, if it chose the sample at that position."""
        if types.uint64(types.int64(load(indices, window))) == types.uint64(position):
            sums[lane] = fma(real(1.0), widen(KIND, load(grad, window)), sums[lane])

    def kernel(
        grad, y, indices, total, depth_in, rows_in, width_in, depth_out, rows_out, width_out,
        depth_step, row_step, column_step,
        depth_first, depth_count, row_first, row_count, column_first, column_count,
    ):  # fmt: skip
        one = index(1)
        q = index(number_of() * index(LANES))
        if q >= index(total):
            return
        row, j = split(q, index(width_in))
        slab, o = split(row, index(rows_in))
        plane, d = split(slab, index(depth_in))
        position = mad(mad(d, index(rows_in), o), index(width_in), j)

        sums = memory.local.array(LANES, real)
        first, count = memory.local.array(LANES, index), memory.local.array(LANES, types.uint32)
        for lane in range(LANES):
            sums[lane] = real(0.0)
            first[lane] = index(load(column_first, plus(j, index(lane))))
            count[lane] = load(column_count, plus(j, index(lane)))
        levels, rows = index(load(depth_count, d)), index(load(row_count, o))
        level, a = mad(plane, index(depth_out), index(load(depth_first, d))), index(0)
        while a < levels:
            r, b = mad(level, index(rows_out), index(load(row_first, o))), index(0)
            while b < rows:
                begin = index(r * index(width_out))
                for lane in range(LANES):
                    window, here = plus(begin, first[lane]), plus(position, index(lane))
                    if COLUMNS:
                        for k in range(COLUMNS):
                            if types.uint32(k) < count[lane]:
                                gather(grad, indices, mad(index(k), index(column_step), window), here, sums, lane)
                    else:
                        turn = index(0)
                        while turn < index(count[lane]):
                            gather(grad, indices, mad(turn, index(column_step), window), here, sums, lane)
                            turn = plus(turn, one)
                r, b = plus(r, index(row_step)), plus(b, one)
            level, a = plus(level, index(depth_step)), plus(a, one)

        values = memory.local.array(LANES, carrier)
        for lane in range(LANES):
            values[lane] = narrow(KIND, sums[lane])
        store_lanes(y, q, values, LANES)

    return kernel


def pool_backward_signature(spec: PoolBackwardSpec) -> Any:
    """Return the types of the parameters of the kernel of the pooling gradient."""
    pointer, table = types.CPointer, types.CPointer(types.uint32)
    array = pointer(arithmetic.carrier_of(arithmetic.kind_of(spec.scalar)))
    return types.void(array, array, pointer(stored_index_of(spec)), *[types.uint64] * 10, *[table] * 6)


# ---- unpooling ----------------------------------------------------------------------------------------------
def build_unpool_backward(machine: Any, spec: UnpoolBackwardSpec) -> Callable[..., None]:
    """Return the kernel in which every source fetches the gradient of the place that it won, or is zero."""
    plus, mad, quotient = machine.plus, machine.mad, machine.quotient
    memory, load, store_lanes = machine.memory, machine.load, machine.store_lanes
    word, index, PARTS = word_of(spec), index_of(spec), spec.parts
    number_of = build_number(machine, index)

    def kernel(grad, y, indices, winners, total, n_in, n_out):
        q = number_of()
        if q >= index(total):
            return
        place, won = index(0), False
        chosen = types.uint64(types.int64(load(indices, q)))  # a negative index becomes a large one
        if chosen < n_out:
            place = mad(quotient(q, index(n_in)), index(n_out), index(chosen))
            won = load(winners, place) == plus(q, index(1))
        value = memory.local.array(1, word)
        for part in range(PARTS):
            value[0] = word(0)
            if won:
                value[0] = load(grad, mad(place, index(PARTS), index(part)))
            store_lanes(y, mad(q, index(PARTS), index(part)), value, 1)

    return kernel


def unpool_backward_signature(spec: UnpoolBackwardSpec) -> Any:
    """Return the types of the parameters of the kernel of the unpooling gradient."""
    pointer = types.CPointer
    array = pointer(word_of(spec))
    return types.void(array, array, pointer(stored_index_of(spec)), pointer(index_of(spec)), *[types.uint64] * 3)
