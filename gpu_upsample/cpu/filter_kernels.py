"""The CPU kernels of weighted sums, on rows of the output."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample import arithmetic
from gpu_upsample.cpu import vectors
from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import add_product, lanes_of, narrow, widen
from gpu_upsample.cpu.compiled import Kernel, inlined
from gpu_upsample.cpu.permute import gather, results_of, transpose
from gpu_upsample.cpu.rows import STRIP_LINES, drain, readable
from gpu_upsample.cpu.vectors import (
    aligned_pointer,
    entries,
    entry,
    fence,
    fetch_a_page_ahead,
    fetch_to_write,
    load,
    load_first,
    pointer,
    splat,
    store,
    store_first,
    stream,
    table,
    where_below,
    where_nonzero,
)


@inlined
def sum_pixels(SOURCE, RESULT, LANES, FILL, row, columns, first, last, taps, inner, zero, fill, sums):  # noqa: N803
    """Sum along a row the scalars of a pixel side by side, for the columns from `first` up to `last`.

    Parameters
    ----------
    SOURCE, RESULT, FILL : int
        As for `filter_kernel`.
    LANES : int
        Scalars that are summed side by side, of at least so many.
    row, sums : pointer
        The samples of the row, and where its sums are stored.
    columns : tuple of pointers
        The tables of the columns.
    taps, inner : int
        Samples of a window, and scalars of a pixel.
    zero, fill : scalar
        What a sum begins with, and the constant around the array.
    """
    start, _, _, count, weight, outside = columns
    for c in range(first, last):
        at, i = entry(start, c), 0
        while True:
            total = splat(LANES, zero)
            for k in range(entry(count, c)):
                value = widen(SOURCE, load(LANES, row, at + k * inner + i))
                total = add_product(RESULT, splat(LANES, entry(weight, c * taps + k)), value, total)
            if FILL and entry(outside, c) != 0:
                total = add_product(RESULT, splat(LANES, entry(outside, c)), splat(LANES, fill), total)
            store(sums, c * inner + i, total)
            if i + LANES >= inner:
                break
            i = min(i + LANES, inner - LANES)  # the last ones once more, rather than fewer


@inlined
def sum_neighbours(
    SOURCE, RESULT, LANES, REGISTERS, RESULTS, JOINT, FILL, row, columns, first, last, stride, taps, inner, zero, fill,  # noqa: N803
    sums,
):  # fmt: skip
    """Sum along a row neighbouring scalars side by side, in the vectors from `first` up to `last`.

    Parameters
    ----------
    REGISTERS, JOINT : int
        As for `filter_kernel`.
    RESULTS : int
        How many parts of a vector have registers of their own.
    stride : int
        Scalars from one vector to the next.
    others
        As for `sum_pixels`.
    """
    start, form, index, count, weight, outside = columns
    length = JOINT if JOINT else taps
    b = first
    while b < last:
        shared = entry(form, b)
        picked, counts = table(LANES, index, shared * LANES), table(LANES, count, shared * LANES)
        whole = entry(count, shared * LANES) < 0
        while b < last and entry(form, b) == shared:
            at = entries(RESULTS, start, b * RESULTS)
            fetch_a_page_ahead(row, at[0])
            total = splat(LANES, zero)
            for k in range(length):
                if JOINT:  # they are loaded once, and the loop is unrolled
                    value = gather(REGISTERS, row, at, 0, picked, k * inner)
                else:
                    value = gather(REGISTERS, row, at, k * inner, picked, 0)
                factor = table(LANES, weight, (shared * length + k) * LANES)
                added = add_product(RESULT, factor, widen(SOURCE, value), total)
                total = added if whole else where_below(k, counts, added, total)
            if FILL:
                factor = table(LANES, outside, shared * LANES)
                added = add_product(RESULT, factor, splat(LANES, fill), total)
                total = where_nonzero(factor, added, total)
            store(sums, b * stride, total)
            b += 1


@inlined
def sum_rows(
    SOURCE, RESULT, COLUMNS, FILL, WIDE, WHOLE, rows, begin, count, weights, outside, at, n, zero, fill  # noqa: N803
):  # fmt: skip
    """Return the sums down the rows for WIDE neighbouring scalars, or the first `n` of them.

    Parameters
    ----------
    SOURCE, RESULT, COLUMNS, FILL : int
        As for `filter_kernel`.
    WIDE : int
        How many sums are formed side by side.
    WHOLE : bool
        Whether so many scalars can be read of every row. From the ring, they always can.
    rows : (pointer, int, int)
        The rows, the mask that makes the number of a row its place among them, -1 where all lie in place, and how far
        two neighbours lie apart.
    begin, count : int
        The first row of the window, and its length.
    weights : pointer
        The weights of the window.
    outside : scalar
        The weight of the constant around the array.
    at, n : int
        The first scalar of the rows, and how many are summed.
    zero, fill : scalar
        What a sum begins with, and the constant around the array.
    """
    place, mask, pitch = rows
    total = splat(WIDE, zero)
    for k in range(count):
        first = ((begin + k) & mask) * pitch + at
        if COLUMNS:
            value = load(WIDE, place, first)
        elif WHOLE:
            value = widen(SOURCE, load(WIDE, place, first))
        else:
            value = widen(SOURCE, load_first(WIDE, place, first, n))
        total = add_product(RESULT, splat(WIDE, entry(weights, k)), value, total)
    if FILL and outside != 0:
        total = add_product(RESULT, splat(WIDE, outside), splat(WIDE, fill), total)
    return total


@cache
def filter_kernel(
    SOURCE: int, RESULT: int, COLUMNS: int, PIXELS: int, REGISTERS: int, JOINT: int, FILL: int  # noqa: N803
) -> Any:  # fmt: skip
    """Return the kernel for weighted sums along columns, then rows.

    Rows of the result that have one window are formed together, a piece of all of them at a time, as soon as the
    last row of that window is summed so far along its columns: what leaves for memory takes its time beside the sums
    of the next piece.

    Parameters
    ----------
    SOURCE, RESULT : int
        Kinds of the stored scalars.
    COLUMNS : int
        1 if there are sums along the columns, 0 if these stay as they are.
    PIXELS : int
        How many vectors of a pixel are summed side by side; 0 if a vector holds neighbouring columns.
    REGISTERS : int
        For each part of such a vector: in how many registers its samples lie, or 0 for anywhere.
    JOINT : int
        For such a vector: the length of a window if these registers hold all of its samples, or else 0.
    FILL : int
        1 if a constant surrounds the array.
    """
    LANES = lanes_of(RESULT)
    WIDE = 4 * LANES  # down the rows, four sums at a time: each has to wait for its last product
    CHUNK, HELD = 4 * WIDE, LANES << 9  # a ring of up to 32 KiB stays in the first cache, or nearly
    DEEP = max(1, PIXELS) * LANES
    RESULTS = results_of(LANES, arithmetic.carrier_of(SOURCE).bitwidth // 8) if REGISTERS else 1
    LINE = vectors.BYTES * 8 // arithmetic.carrier_of(RESULT).bitwidth

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, out, lead, streams, strip_room, rows_in, rows_out, width_in, width, tables_of_rows, tables_of_columns,
            stride, taps, inner, column_zero, row_zero, fill, slots, pitch, ring_room, line_room,
        ) = unpack(arguments, scratch)  # fmt: skip
        row_start, row_count, row_weight, row_outside, row_alike = tables_of_rows
        column_start, column_form, column_index, column_count, column_weight, column_outside = tables_of_columns
        row_width = row_weight.size // row_start.size
        columns = (
            pointer(column_start, 0), pointer(column_form, 0), pointer(column_index, 0),
            pointer(column_count, 0), pointer(column_weight, 0), pointer(column_outside, 0),
        )  # fmt: skip
        ring_room[:] = 0  # sums are formed beyond the end of a row, too: denormal numbers there would slow them down
        line_room[:] = 0
        # Where a row of the result begins a cache line, a row of the ring does.
        ring = aligned_pointer(ring_room, -lead & (LINE - 1) if streams else 0)
        line, strip = aligned_pointer(line_room, 0), aligned_pointer(strip_room, 0)
        data, size, room = pointer(x, 0), x.size, line_room.size
        rows = (ring, slots - 1, pitch) if COLUMNS else (data, -1, width_in)
        base, collects = first * width, strip_room.size > 1
        # Rows in turns, a piece of each, where the ring does not stay in the first cache or stores need not wait for
        # their lines; else one after the other. What is collected beyond the end of a row is overwritten by the next.
        chunk = CHUNK if streams or (slots * pitch > HELD and not collects) else width
        r, ready = first, 0  # the ring holds what windows need of the source rows before `ready`
        while r < last:
            plane = r // rows_out
            o = r - plane * rows_out
            begin, count = plane * rows_in + entry(row_start, o), entry(row_count, o)
            stop, together = begin + count, min(entry(row_alike, o), last - r)
            target = pointer(out, 0)
            if collects:
                target = pointer(strip, ((lead + base) & (LINE - 1)) - base)
            missing = max(begin, ready)
            for source in range(min(missing, stop - 1), stop):
                final, fresh = source == stop - 1, source >= missing
                row, sums, done = line, pointer(ring, (source & (slots - 1)) * pitch), 0
                if COLUMNS and fresh:
                    row = pointer(data, source * width_in)
                    if not PIXELS:
                        row = readable(data, size, source * width_in, width_in, room, line)
                for j in range(0, width, chunk if final else width):
                    if COLUMNS and fresh:
                        until = min(width, j + chunk + LINE) if final else width
                        until = (until + stride - 1) // stride
                        if PIXELS:
                            sum_pixels(
                                SOURCE, RESULT, DEEP, FILL, row, columns, done, until, taps, inner,
                                column_zero, fill, sums,
                            )  # fmt: skip
                        else:
                            sum_neighbours(
                                SOURCE, RESULT, LANES, REGISTERS, RESULTS, JOINT, FILL, row, columns, done, until,
                                stride, taps, inner, column_zero, fill, sums,
                            )  # fmt: skip
                        done = until
                    for of in range(together if final else 0):
                        # A row is streamed in whole cache lines, after the few elements before the first of them.
                        to, outside = (r + of) * width, entry(row_outside, o + of)
                        weights = pointer(row_weight, (o + of) * row_width)
                        ahead = -(lead + to) & (LINE - 1) if streams else 0
                        at, end = j + ahead if j else 0, min(width, j + ahead + chunk)
                        if streams and not j and (lead + to + width) & (LINE - 1):
                            fetch_to_write(out, to + width)
                        # Whole vectors in a loop that calls nothing, so that all it needs stays in registers. Only
                        # the ring can be read and only the strip be written beyond the end of a row.
                        begins = min(max(at, ahead), end)
                        ends = end if COLUMNS and collects else end - (end - begins) % WIDE
                        for i in range(begins, ends, WIDE):
                            total = sum_rows(
                                SOURCE, RESULT, COLUMNS, FILL, WIDE, True, rows, begin, count, weights, outside,
                                i, WIDE, row_zero, fill,
                            )  # fmt: skip
                            if streams:
                                stream(target, to + i, narrow(RESULT, total))
                            else:
                                store(target, to + i, narrow(RESULT, total))
                        for low, high in ((at, begins), (ends, end)):
                            for i in range(low, high, WIDE):
                                n = min(WIDE, high - i)
                                total = sum_rows(
                                    SOURCE, RESULT, COLUMNS, FILL, WIDE, False, rows, begin, count, weights, outside,
                                    i, n, row_zero, fill,
                                )  # fmt: skip
                                store_first(target, to + i, narrow(RESULT, total), n)
            r, ready = r + together, stop
            formed = r * width
            if collects and (r == last or formed - base >= STRIP_LINES * LINE):
                base = drain(pointer(out, 0), strip, LINE, lead, base, formed, r == last)
        if streams or collects:
            fence()

    return kernel


@cache
def turned_kernel(SOURCE: int, RESULT: int, FILL: int) -> Any:  # noqa: N803
    """Return the kernel for weighted sums along columns whose samples lie too far apart to be permuted.

    As many rows as a vector has lanes are turned into columns, so that a lane sums one row. The parameters are those
    of `filter_kernel`.
    """
    LANES = lanes_of(RESULT)

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, out, _lead, _streams, _strip_room, width_in, width, tables, taps, inner, zero, fill,
            square_room, turned_room, sums_room,
        ) = unpack(arguments, scratch)  # fmt: skip
        column_start, column_count, column_weight, column_outside = tables
        rows = x.size // width_in
        square, turned = aligned_pointer(square_room, 0), aligned_pointer(turned_room, 0)
        sums = aligned_pointer(sums_room, 0)
        for group in range(first, last):
            r = group * LANES
            for i in range(0, width_in, LANES):
                n = min(LANES, width_in - i)
                for lane in range(LANES):
                    at = min(r + lane, rows - 1) * width_in + i
                    value = load(LANES, x, at) if n == LANES else load_first(LANES, x, at, n)
                    store(square, lane * LANES, widen(SOURCE, value))
                transpose(LANES, LANES, square, 0, LANES, turned, i * LANES)
            for c in range(column_start.size):
                for i in range(inner):
                    at = (entry(column_start, c) * inner + i) * LANES
                    total = splat(LANES, zero)
                    for k in range(entry(column_count, c)):
                        value = load(LANES, turned, at + k * inner * LANES)
                        total = add_product(RESULT, splat(LANES, entry(column_weight, c * taps + k)), value, total)
                    if FILL and entry(column_outside, c) != 0:
                        total = add_product(RESULT, splat(LANES, entry(column_outside, c)), splat(LANES, fill), total)
                    store(sums, (c * inner + i) * LANES, total)
            for i in range(0, width, LANES):
                n = min(LANES, width - i)
                transpose(LANES, LANES, sums, i * LANES, LANES, square, 0)
                for lane in range(min(LANES, rows - r)):
                    value = narrow(RESULT, load(LANES, square, lane * LANES))
                    if n == LANES:
                        store(out, (r + lane) * width + i, value)
                    else:
                        store_first(out, (r + lane) * width + i, value, n)

    return kernel
