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

_scalar = arithmetic.build(intrinsic)
fma, add_product, widen, narrow = _scalar.fma, _scalar.add_product, _scalar.widen, _scalar.narrow

UNROLLED = 10
"""The longest window that gets a loop of its own; longer ones share one with a run-time length."""


@cache
def filter_kernel(SOURCE: int, RESULT: int, ROWS: int, COLUMNS: int, INNER: int, FILL: int) -> Any:  # noqa: N803
    """Return the kernel for weighted sums along columns, then rows.

    Parameters
    ----------
    SOURCE, RESULT : int
        Kinds of the stored scalars.
    ROWS, COLUMNS : int
        Length of the windows if all loops over them are to be unrolled, else 0. COLUMNS is -1 where the columns
        stay as they are.
    INNER : int
        1 if the innermost loop runs over the inner axis, 0 if over all columns at once.
    FILL : int
        1 if a constant surrounds the array.
    """

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(
        x, out, first, last, rows_in, rows_out,
        row_start, row_count, row_weight, row_outside,
        column_start, column_count, column_weight, column_outside, interior, inner,
        column_zero, row_zero, fill, ring, held, line,
    ):  # fmt: skip
        width = out.shape[1]
        mask = ring.shape[0] - 1
        for r in range(first, last):
            plane = r // rows_out
            o = r - plane * rows_out
            begin = plane * rows_in + row_start[o]
            count = row_count[o]
            if COLUMNS >= 0:
                for source in range(begin, begin + count):
                    slot = source & mask
                    if held[slot] == source:
                        continue
                    held[slot] = source
                    src, dst = x[source], ring[slot]
                    if INNER:
                        for c in range(column_start.size):
                            at, to = column_start[c] * inner, c * inner
                            if column_count[c] == COLUMNS:
                                for i in range(inner):
                                    total = column_zero
                                    for k in range(COLUMNS):
                                        total = add_product(
                                            RESULT, column_weight[k, c], widen(SOURCE, src[at + k * inner + i]), total
                                        )
                                    dst[to + i] = total
                            else:
                                for i in range(inner):
                                    dst[to + i] = column_zero
                                for k in range(column_count[c]):
                                    for i in range(inner):
                                        dst[to + i] = add_product(
                                            RESULT,
                                            column_weight[k, c],
                                            widen(SOURCE, src[at + k * inner + i]),
                                            dst[to + i],
                                        )
                            if FILL and column_outside[c] != 0:
                                for i in range(inner):
                                    dst[to + i] = add_product(RESULT, column_outside[c], fill, dst[to + i])
                    else:
                        for side in range(2):  # the windows at both ends may be shorter
                            low = interior[1] if side else 0
                            high = width if side else interior[0]
                            for j in range(low, high):
                                total = column_zero
                                for k in range(column_count[j]):
                                    total = add_product(
                                        RESULT,
                                        column_weight[k, j],
                                        widen(SOURCE, src[column_start[j] + k * inner]),
                                        total,
                                    )
                                if FILL and column_outside[j] != 0:
                                    total = add_product(RESULT, column_outside[j], fill, total)
                                dst[j] = total
                        for j in range(interior[0], interior[1]):
                            total = column_zero
                            for k in range(COLUMNS):
                                total = add_product(
                                    RESULT,
                                    column_weight[k, j],
                                    widen(SOURCE, src[column_start[j] + k * inner]),
                                    total,
                                )
                            dst[j] = total
            target = out[r]
            outside = FILL and row_outside[o] != 0
            if count == ROWS and not outside:
                for j in range(width):
                    total = row_zero
                    for k in range(ROWS):
                        if COLUMNS >= 0:
                            value = ring[(begin + k) & mask, j]
                        else:
                            value = widen(SOURCE, x[begin + k, j])
                        total = add_product(RESULT, row_weight[o, k], value, total)
                    target[j] = narrow(RESULT, total)
            else:
                for j in range(width):
                    line[j] = row_zero
                for k in range(count):
                    for j in range(width):
                        if COLUMNS >= 0:
                            value = ring[(begin + k) & mask, j]
                        else:
                            value = widen(SOURCE, x[begin + k, j])
                        line[j] = add_product(RESULT, row_weight[o, k], value, line[j])
                if outside:
                    for j in range(width):
                        line[j] = add_product(RESULT, row_outside[o], fill, line[j])
                for j in range(width):
                    target[j] = narrow(RESULT, line[j])

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
