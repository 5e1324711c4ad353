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
    collect,
    copy,
    entry,
    fence,
    keep,
    load,
    load_first,
    splat,
    spread,
    store,
    store_first,
    stream,
    turn,
    unless_zero,
)

_scalar = arithmetic.build(intrinsic)
fma, add_product, widen, narrow = _scalar.fma, _scalar.add_product, _scalar.widen, _scalar.narrow


def lanes_of(kind: int) -> int:
    """Return how many accumulators of a stored scalar fill a vector."""
    return vectors.BYTES * 8 // arithmetic.accumulator_of(kind).bitwidth


@cache
def filter_kernel(SOURCE: int, RESULT: int, COLUMNS: int, INNER: int, SPREAD: int, FILL: int) -> Any:  # noqa: N803
    """Return the kernel for weighted sums along columns, then rows.

    Parameters
    ----------
    SOURCE, RESULT : int
        Kinds of the stored scalars.
    COLUMNS : int
        1 if there are sums along the columns, 0 if these stay as they are.
    INNER : int
        1 if the inner axis fills vectors by itself, 0 if a vector holds neighbouring columns.
    SPREAD : int
        For such a vector: in how many vectors of the input its samples lie, or 0 for anywhere.
    FILL : int
        1 if a constant surrounds the array.
    """
    LANES = lanes_of(RESULT)
    DIRECT = int(arithmetic.carrier_of(SOURCE) == arithmetic.accumulator_of(RESULT))
    WIDE = 4 * LANES  # down the rows, four sums at a time: each has to wait for its last product
    LINE = vectors.BYTES * 8 // arithmetic.carrier_of(RESULT).bitwidth

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(
        x, out, first, last, lead, streams, rows_in, rows_out, width_in, width,
        row_start, row_count, row_weight, row_outside,
        column_start, column_form, column_index, column_count, column_weight, column_outside, taps, inner,
        column_zero, row_zero, fill, ring, held, line,
    ):  # fmt: skip
        held[:] = -1
        mask = held.size - 1
        pitch = ring.size // held.size
        row_width = row_weight.size // row_start.size
        for r in range(first, last):
            plane = r // rows_out
            o = r - plane * rows_out
            begin = plane * rows_in + entry(row_start, o)
            count = entry(row_count, o)
            if COLUMNS:
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
                        # Where no scalar needs to be widened, and none is read beyond the end, x itself will do.
                        samples, origin = line, 0
                        if DIRECT and src + line.size <= x.size:
                            samples, origin = x, src
                        else:
                            for i in range(0, width_in - LANES + 1, LANES):
                                store(line, i, widen(SOURCE, load(LANES, x, src + i)))
                            i = width_in & -LANES
                            if i < width_in:
                                store(line, i, widen(SOURCE, load_first(LANES, x, src + i, width_in - i)))
                        for b in range(column_start.size):
                            form, at = entry(column_form, b) * LANES, origin + entry(column_start, b)
                            index = load(LANES, column_index, form)
                            total = splat(LANES, column_zero)
                            if entry(column_count, form) < 0:  # all windows are whole
                                for k in range(taps):
                                    value = collect(SPREAD, samples, at + k * inner, index)
                                    factor = load(LANES, column_weight, form * taps + k * LANES)
                                    total = add_product(RESULT, factor, value, total)
                            else:
                                counts = load(LANES, column_count, form)
                                for k in range(taps):
                                    value = collect(SPREAD, samples, at + k * inner, index)
                                    factor = load(LANES, column_weight, form * taps + k * LANES)
                                    total = keep(k, counts, add_product(RESULT, factor, value, total), total)
                            if FILL:
                                factor = load(LANES, column_outside, form)
                                more = add_product(RESULT, factor, splat(LANES, fill), total)
                                total = unless_zero(factor, more, total)
                            store(ring, dst + b * LANES, total)
            outside = FILL and entry(row_outside, o) != 0
            to = r * width
            # A row is streamed in whole cache lines, after the few elements before the first of them.
            j, n = 0, -(lead + to) & (LINE - 1) if streams else 0
            n = min(n if n != 0 else WIDE, width)
            while j < width:
                total = splat(WIDE, row_zero)
                for k in range(count):
                    if COLUMNS:
                        value = load(WIDE, ring, ((begin + k) & mask) * pitch + j)
                    elif n == WIDE:
                        value = widen(SOURCE, load(WIDE, x, (begin + k) * width_in + j))
                    else:
                        value = widen(SOURCE, load_first(WIDE, x, (begin + k) * width_in + j, n))
                    total = add_product(RESULT, spread(WIDE, row_weight, o * row_width + k), value, total)
                if outside:
                    total = add_product(RESULT, spread(WIDE, row_outside, o), splat(WIDE, fill), total)
                if n < WIDE:
                    store_first(out, to + j, narrow(RESULT, total), n)
                elif streams:
                    stream(out, to + j, narrow(RESULT, total))
                else:
                    store(out, to + j, narrow(RESULT, total))
                j += n
                n = min(WIDE, width - j)
        if streams:
            fence()

    return kernel


@cache
def turned_kernel(SOURCE: int, RESULT: int, FILL: int) -> Any:  # noqa: N803
    """Return the kernel for weighted sums along columns whose samples lie too far apart to be permuted.

    As many rows as a vector has lanes are turned into columns, so that a lane sums one row. The parameters are those
    of `filter_kernel`.
    """
    LANES = lanes_of(RESULT)

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(
        x, out, first, last, lead, streams, rows, width_in, width,
        column_start, column_count, column_weight, column_outside, taps, inner, zero, fill, square, turned, sums,
    ):  # fmt: skip
        for group in range(first, last):
            r = group * LANES
            for i in range(0, width_in, LANES):
                n = min(LANES, width_in - i)
                for lane in range(LANES):
                    at = min(r + lane, rows - 1) * width_in + i
                    value = load(LANES, x, at) if n == LANES else load_first(LANES, x, at, n)
                    store(square, lane * LANES, widen(SOURCE, value))
                turn(LANES, square, 0, turned, i * LANES)
            for c in range(column_start.size):
                for i in range(inner):
                    at = (entry(column_start, c) * inner + i) * LANES
                    total = splat(LANES, zero)
                    for k in range(entry(column_count, c)):
                        value = load(LANES, turned, at + k * inner * LANES)
                        total = add_product(RESULT, spread(LANES, column_weight, c * taps + k), value, total)
                    if FILL and entry(column_outside, c) != 0:
                        total = add_product(RESULT, spread(LANES, column_outside, c), splat(LANES, fill), total)
                    store(sums, (c * inner + i) * LANES, total)
            for i in range(0, width, LANES):
                n = min(LANES, width - i)
                turn(LANES, sums, i * LANES, square, 0)
                for lane in range(min(LANES, rows - r)):
                    value = narrow(RESULT, load(LANES, square, lane * LANES))
                    if n == LANES:
                        store(out, (r + lane) * width + i, value)
                    else:
                        store_first(out, (r + lane) * width + i, value, n)

    return kernel


@cache
def select_kernel(SIZE: int, COLUMNS: int, INNER: int, SPREAD: int, FILL: int) -> Any:  # noqa: N803
    """Return the kernel for copies of input samples.

    Parameters
    ----------
    SIZE : int
        Bytes of a scalar: one kernel serves every type of the same size.
    COLUMNS : int
        1 if columns are selected, 0 if whole rows are copied.
    INNER, SPREAD : int
        As of `filter_kernel`.
    FILL : int
        1 if some outputs are no copies but `fill`.
    """
    LANES = vectors.BYTES // SIZE

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(
        x, out, first, last, lead, streams, rows_in, rows_out, width_in, width,
        rows, column_start, column_form, column_index, column_inside, inner, fill, line, row,
    ):  # fmt: skip
        held = -2
        for r in range(first, last):
            plane = r // rows_out
            chosen = entry(rows, r - plane * rows_out)
            source = plane * rows_in + chosen if chosen >= 0 else -1
            src, to = source * width_in, r * width
            if COLUMNS and source >= 0 and source != held:
                held = source
                if INNER:
                    for c in range(column_start.size):
                        at, i = entry(column_start, c), 0
                        while True:
                            value = splat(LANES, fill)
                            if not FILL or at >= 0:
                                value = load(LANES, x, src + at + i)
                            store(row, c * inner + i, value)
                            if i + LANES >= inner:
                                break
                            i = min(i + LANES, inner - LANES)
                else:
                    samples, origin = x, src
                    if src + line.size > x.size:
                        samples, origin = line, 0
                        copy(line, 0, x, src, width_in)
                    for b in range(column_start.size):
                        form = entry(column_form, b) * LANES
                        index = load(LANES, column_index, form)
                        value = collect(SPREAD, samples, origin + entry(column_start, b), index)
                        if FILL:
                            value = unless_zero(load(LANES, column_inside, form), value, splat(LANES, fill))
                        store(row, b * LANES, value)
            j, n = 0, -(lead + to) & (LANES - 1) if streams else 0
            n = min(n if n != 0 else LANES, width)
            while j < width:
                if FILL and source < 0:
                    value = splat(LANES, fill)
                elif COLUMNS:
                    value = load(LANES, row, j)
                elif n == LANES:
                    value = load(LANES, x, src + j)
                else:
                    value = load_first(LANES, x, src + j, n)
                if n < LANES:
                    store_first(out, to + j, value, n)
                elif streams:
                    stream(out, to + j, value)
                else:
                    store(out, to + j, value)
                j += n
                n = min(LANES, width - j)
        if streams:
            fence()

    return kernel
