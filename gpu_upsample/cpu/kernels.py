"""The CPU kernels: strips of output rows, compiled by Numba without the GIL.

Compile-time integers in capitals select a specialisation. They come in through a closure, which Numba can cache
on disk as long as it holds nothing but integers; the arithmetic is therefore a module global.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import njit
from numba.extending import intrinsic

from gpu_upsample import arithmetic
from gpu_upsample.cpu import vectors
from gpu_upsample.cpu.vectors import (
    collect, entry, fence, keep, load, load_first, splat, spread, store, store_first, stream, unless_zero,
)

_scalar = arithmetic.build(intrinsic)
fma, add_product, widen, narrow = _scalar.fma, _scalar.add_product, _scalar.widen, _scalar.narrow



def lanes_of(kind: int) -> int:
    """Return how many accumulators of a stored scalar fill a vector."""
    return vectors.BYTES * 8 // arithmetic.accumulator_of(kind).bitwidth


UNROLLED = 10
"""The longest window that gets a loop of its own; longer ones share one with a run-time length."""


@cache
def filter_kernel(
    SOURCE: int, RESULT: int, ROWS: int, COLUMNS: int, INNER: int, SPREAD: int, FILL: int  # noqa: N803
) -> Any:
    """Return the kernel for weighted sums along columns, then rows.

    Parameters
    ----------
    SOURCE, RESULT : int
        Kinds of the stored scalars.
    ROWS, COLUMNS : int
        Length of the windows if all loops over them are to be unrolled, else 0. COLUMNS is -1 where the columns
        stay as they are.
    INNER : int
        1 if the inner axis fills vectors by itself, 0 if a vector holds neighbouring columns.
    SPREAD : int
        For such a vector: in how many vectors of the input its samples lie, or 0 for anywhere.
    FILL : int
        1 if a constant surrounds the array.
    """
    LANES = lanes_of(RESULT)  # noqa: N806

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(
        x, out, first, last, rows_in, rows_out, width_in, width,
        row_start, row_count, row_weight, row_outside,
        column_start, column_form, column_index, column_count, column_weight, column_outside, column_width, inner,
        column_zero, row_zero, fill, ring, held, line, lead, streams,
    ):  # fmt: skip
        mask = held.size - 1
        pitch = ring.size // held.size
        row_width = row_weight.size // row_start.size
        taps = COLUMNS if COLUMNS > 0 else column_width
        for r in range(first, last):
            plane = r // rows_out
            o = r - plane * rows_out
            begin = plane * rows_in + entry(row_start, o)
            count = entry(row_count, o)
            if COLUMNS >= 0:
                for source in range(begin, begin + count):
                    slot = source & mask
                    if held[slot] == source:
                        continue
                    held[slot] = source
                    src, dst = source * width_in, slot * pitch
                    if INNER:
                        for c in range(column_start.size):
                            at, i = src + entry(column_start, c), 0
                            while True:
                                total = splat(LANES, column_zero)
                                for k in range(entry(column_count, c)):
                                    value = widen(SOURCE, load(LANES, x, at + k * inner + i))
                                    factor = spread(LANES, column_weight, c * taps + k)
                                    total = add_product(RESULT, factor, value, total)
                                if FILL and entry(column_outside, c) != 0:
                                    factor = spread(LANES, column_outside, c)
                                    total = add_product(RESULT, factor, splat(LANES, fill), total)
                                store(ring, dst + c * inner + i, total)
                                if i + LANES >= inner:
                                    break
                                i = min(i + LANES, inner - LANES)
                    else:
                        for i in range(0, width_in - LANES + 1, LANES):
                            store(line, i, widen(SOURCE, load(LANES, x, src + i)))
                        i = width_in & -LANES
                        if i < width_in:
                            store(line, i, widen(SOURCE, load_first(LANES, x, src + i, width_in - i)))
                        for b in range(column_start.size):
                            form, at = entry(column_form, b) * LANES, entry(column_start, b)
                            index = load(LANES, column_index, form)
                            total = splat(LANES, column_zero)
                            if entry(column_count, form) < 0:  # all windows are whole
                                for k in range(taps):
                                    value = collect(SPREAD, line, at + k * inner, index)
                                    factor = load(LANES, column_weight, form * taps + k * LANES)
                                    total = add_product(RESULT, factor, value, total)
                            else:
                                counts = load(LANES, column_count, form)
                                for k in range(taps):
                                    value = collect(SPREAD, line, at + k * inner, index)
                                    factor = load(LANES, column_weight, form * taps + k * LANES)
                                    total = keep(k, counts, add_product(RESULT, factor, value, total), total)
                            if FILL:
                                factor = load(LANES, column_outside, form)
                                more = add_product(RESULT, factor, splat(LANES, fill), total)
                                total = unless_zero(factor, more, total)
                            store(ring, dst + b * LANES, total)
            outside = FILL and entry(row_outside, o) != 0
            to = r * width
            # A row is streamed in aligned vectors, after the few elements before the first of them.
            j, n = 0, -(lead + to) & (LANES - 1) if streams else 0
            n = min(n if n != 0 else LANES, width)
            while j < width:
                total = splat(LANES, row_zero)
                if count == ROWS:
                    for k in range(ROWS):
                        if COLUMNS >= 0:
                            value = load(LANES, ring, ((begin + k) & mask) * pitch + j)
                        elif n == LANES:
                            value = widen(SOURCE, load(LANES, x, (begin + k) * width_in + j))
                        else:
                            value = widen(SOURCE, load_first(LANES, x, (begin + k) * width_in + j, n))
                        total = add_product(RESULT, spread(LANES, row_weight, o * row_width + k), value, total)
                else:
                    for k in range(count):
                        if COLUMNS >= 0:
                            value = load(LANES, ring, ((begin + k) & mask) * pitch + j)
                        elif n == LANES:
                            value = widen(SOURCE, load(LANES, x, (begin + k) * width_in + j))
                        else:
                            value = widen(SOURCE, load_first(LANES, x, (begin + k) * width_in + j, n))
                        total = add_product(RESULT, spread(LANES, row_weight, o * row_width + k), value, total)
                if outside:
                    total = add_product(RESULT, spread(LANES, row_outside, o), splat(LANES, fill), total)
                if n < LANES:
                    store_first(out, to + j, narrow(RESULT, total), n)
                elif streams:
                    stream(out, to + j, narrow(RESULT, total))
                else:
                    store(out, to + j, narrow(RESULT, total))
                j += n
                n = min(LANES, width - j)
        if streams:
            fence()

    return kernel


@cache
def select_kernel(COLUMNS: int, INNER: int) -> Any:  # noqa: N803
    """Return the kernel for copies of input samples; one serves every type of the same size.

    Parameters
    ----------
    COLUMNS : int
        1 if columns are selected, 0 if whole rows are copied.
    INNER : int
        1 if the innermost loop runs over the inner axis, 0 if over all columns at once.
    """

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(x, out, first, last, rows_in, rows_out, rows, columns, inner, fill):
        width = out.shape[1]
        for r in range(first, last):
            plane = r // rows_out
            o = r - plane * rows_out
            target = out[r]
            if rows[o] < 0:
                for j in range(width):
                    target[j] = fill
                continue
            if r > first and o > 0 and rows[o] == rows[o - 1]:
                above = out[r - 1]
                for j in range(width):
                    target[j] = above[j]
                continue
            src = x[plane * rows_in + rows[o]]
            if not COLUMNS:
                for j in range(width):
                    target[j] = src[j]
            elif INNER:
                for c in range(columns.size):
                    at, to = columns[c] * inner, c * inner
                    for i in range(inner):
                        target[to + i] = src[at + i] if at >= 0 else fill
            else:
                for j in range(width):
                    target[j] = src[columns[j]] if columns[j] >= 0 else fill

    return kernel
