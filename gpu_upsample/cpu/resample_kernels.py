"""The CPU kernels of resampling, on strips of output rows."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample import arithmetic
from gpu_upsample.cpu import vectors
from gpu_upsample.cpu.arithmetic import add_product, lanes_of, widen
from gpu_upsample.cpu.compiled import compiled
from gpu_upsample.cpu.vectors import (
    at_line,
    broadcast,
    copy,
    entry,
    fence,
    gather,
    keep,
    load,
    load_first,
    pointer,
    prefetch,
    splat,
    store,
    store_first,
    stream,
    stream_line,
    table,
    transpose,
    unless_zero,
)

STRIP_LINES = 64
"""Cache lines that are collected before they are streamed: as many as may wait beside other stores."""

TOGETHER = 4
"""Rows of the result at most that are formed together."""


@compiled
def drain(out, strip, line, lead, base, end, final):
    """Stream the whole cache lines of what has been collected for an output, and keep the rest.

    Parameters
    ----------
    out, strip : pointer
        The output, and what is collected for it.
    line : int
        Elements of a cache line.
    lead : int
        Elements between the start of a cache line and the output.
    base, end : int
        The strip begins with element `base` of the output, at the start of a line or, first of all, behind it; it is
        filled up to element `end`.
    final : bool
        Whether nothing follows, so that the rest is stored, too.

    Returns
    -------
    int
        The element with which the strip begins now.
    """
    skipped = (lead + base) & (line - 1)  # the strip has room for them
    at = base
    if skipped:
        at = min(base + line - skipped, end)
        copy(out, base, strip, skipped, at - base)
    base -= skipped
    while at + line <= end:
        stream_line(out, at, strip, at - base)
        at += line
    if final:
        copy(out, at, strip, at - base, end - at)
    else:
        copy(strip, 0, strip, at - base, end - at)
    return at


@cache
def filter_kernel(
    SOURCE: int, RESULT: int, COLUMNS: int, INNER: int, SPREAD: int, JOINT: int, FILL: int  # noqa: N803
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
    INNER : int
        How many vectors of the inner axis are summed side by side; 0 if a vector holds neighbouring columns.
    SPREAD : int
        For such a vector: in how many registers its samples lie, or 0 for anywhere.
    JOINT : int
        For such a vector: length of the windows along a row if these registers hold them as a whole, else 1.
    FILL : int
        1 if a constant surrounds the array.
    """
    LANES = lanes_of(RESULT)
    WIDE = 4 * LANES  # down the rows, four sums at a time: each has to wait for its last product
    CHUNK, HELD = 4 * WIDE, LANES << 9  # a ring of up to 32 KiB stays in the first cache, or nearly
    DEEP = max(1, INNER) * LANES
    LINE = vectors.BYTES * 8 // arithmetic.carrier_of(RESULT).bitwidth

    @compiled
    def kernel(
        x, out, origin, first, last, lead, streams, rows_in, rows_out, width_in, width,
        row_start, row_count, row_weight, row_outside, row_alike,
        column_start, column_form, column_index, column_count, column_weight, column_outside, stride, taps, inner,
        column_zero, row_zero, fill, slots, pitch, ring_room, line_room, strip_room,
    ):  # fmt: skip
        row_width = row_weight.size // row_start.size
        length = JOINT if JOINT > 1 else taps
        ring_room[:] = 0  # sums are formed beyond the end of a row, too: denormal numbers there would slow them down
        line_room[:] = 0
        # Where a row of the result begins a cache line, a row of the ring does.
        ring, mask = at_line(ring_room, -lead & (LINE - 1) if streams else 0), slots - 1
        line, strip = at_line(line_room, 0), at_line(strip_room, 0)
        base, collects = (first - origin) * width, strip_room.size > 1
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
            source = max(begin, ready)
            while True:
                final, fresh = source + 1 >= stop, source < stop
                done = 0
                src, dst = source * width_in, (source & mask) * pitch
                if COLUMNS and not INNER:
                    samples = line
                    if src + line_room.size <= x.size:  # none is read beyond the end
                        samples = pointer(x, src)
                    elif fresh:
                        copy(line, 0, x, src, width_in)
                for j in range(0, width, chunk if final else width):
                    if COLUMNS:
                        until = min(width, j + chunk + LINE) if final else width
                        until = (until + stride - 1) // stride if fresh else 0
                        b = done
                        while b < until:
                            if INNER:
                                at, i = src + entry(column_start, b), 0
                                while True:
                                    total = splat(DEEP, column_zero)
                                    for k in range(entry(column_count, b)):
                                        value = widen(SOURCE, load(DEEP, x, at + k * inner + i))
                                        factor = broadcast(DEEP, column_weight, b * taps + k)
                                        total = add_product(RESULT, factor, value, total)
                                    if FILL and entry(column_outside, b) != 0:
                                        factor = broadcast(DEEP, column_outside, b)
                                        total = add_product(RESULT, factor, splat(DEEP, fill), total)
                                    store(ring, dst + b * stride + i, total)
                                    if i + DEEP >= inner:
                                        break
                                    i = min(i + DEEP, inner - DEEP)
                                b += 1
                                continue
                            shared = entry(column_form, b)
                            form = shared * LANES
                            index = table(LANES, column_index, form)
                            counts, whole = table(LANES, column_count, form), entry(column_count, form) < 0
                            while b < until and entry(column_form, b) == shared:
                                at = entry(column_start, b)
                                total = splat(LANES, column_zero)
                                for k in range(length):
                                    if JOINT > 1:  # they are loaded once, and the loop is unrolled
                                        value = gather(SPREAD, samples, at, index, k * inner)
                                    else:
                                        value = gather(SPREAD, samples, at + k * inner, index, 0)
                                    factor = table(LANES, column_weight, form * length + k * LANES)
                                    added = add_product(RESULT, factor, widen(SOURCE, value), total)
                                    total = added if whole else keep(k, counts, added, total)
                                if FILL:
                                    factor = table(LANES, column_outside, form)
                                    more = add_product(RESULT, factor, splat(LANES, fill), total)
                                    total = unless_zero(factor, more, total)
                                store(ring, dst + b * stride, total)
                                b += 1
                        done = until
                    for row in range(r, r + together if final else r):
                        # A row is streamed in whole cache lines, after the few elements before the first of them.
                        to, weights = (row - origin) * width, (row - r + o) * row_width
                        ahead = -(lead + to) & (LINE - 1) if streams else 0
                        at, end = j + ahead if j else 0, min(width, j + ahead + chunk)
                        if streams and not j and (lead + to + width) & (LINE - 1):
                            prefetch(out, to + width)
                        while at < end:
                            n = min(end - at, WIDE, ahead - at if at < ahead else WIDE)
                            total = splat(WIDE, row_zero)
                            for k in range(count):
                                if COLUMNS:
                                    value = load(WIDE, ring, ((begin + k) & mask) * pitch + at)
                                elif n == WIDE:
                                    value = widen(SOURCE, load(WIDE, x, (begin + k) * width_in + at))
                                else:
                                    value = widen(SOURCE, load_first(WIDE, x, (begin + k) * width_in + at, n))
                                total = add_product(RESULT, broadcast(WIDE, row_weight, weights + k), value, total)
                            if FILL and entry(row_outside, row - r + o) != 0:
                                factor = broadcast(WIDE, row_outside, row - r + o)
                                total = add_product(RESULT, factor, splat(WIDE, fill), total)
                            packed = vectors.narrow(RESULT, total)
                            if (n < WIDE or at < ahead) and not collects:
                                store_first(target, to + at, packed, n)
                            elif streams:
                                stream(target, to + at, packed)
                            else:
                                store(target, to + at, packed)
                            at += n
                source += 1
                if final:
                    break
            r, ready = r + together, stop
            formed = (r - origin) * width
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

    @compiled
    def kernel(
        x, out, origin, first, last, lead, streams, width_in, width,
        column_start, column_count, column_weight, column_outside, taps, inner, zero, fill,
        square_room, turned_room, sums_room, strip_room,
    ):  # fmt: skip
        rows = x.size // width_in
        square, turned, sums = at_line(square_room, 0), at_line(turned_room, 0), at_line(sums_room, 0)
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
                        total = add_product(RESULT, broadcast(LANES, column_weight, c * taps + k), value, total)
                    if FILL and entry(column_outside, c) != 0:
                        total = add_product(RESULT, broadcast(LANES, column_outside, c), splat(LANES, fill), total)
                    store(sums, (c * inner + i) * LANES, total)
            for i in range(0, width, LANES):
                n = min(LANES, width - i)
                transpose(LANES, LANES, sums, i * LANES, LANES, square, 0)
                for lane in range(min(LANES, rows - r)):
                    value = vectors.narrow(RESULT, load(LANES, square, lane * LANES))
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

    @compiled
    def kernel(
        x, out, origin, first, last, lead, streams, rows_in, rows_out, width_in, width,
        rows, column_start, column_form, column_index, column_inside, stride, inner, fill,
        line_room, row_room, strip_room,
    ):  # fmt: skip
        row = at_line(row_room, -lead & (LANES - 1) if streams else 0)
        line, strip = at_line(line_room, 0), at_line(strip_room, 0)
        base, collects = first * width, strip_room.size > 1
        direct = COLUMNS and not (streams or collects)  # a row is formed where it stays
        held = held_row = -1
        for r in range(first, last):
            target = pointer(out, 0)
            if collects:
                target = pointer(strip, ((lead + base) & (LANES - 1)) - base)
            plane = r // rows_out
            chosen = entry(rows, r - plane * rows_out)
            source = plane * rows_in + chosen if chosen >= 0 else -1
            src, to = source * width_in, r * width
            if direct and source >= 0 and source == held:
                copy(out, to, out, held_row * width, width)
            elif COLUMNS and source >= 0 and source != held:
                held, held_row = source, r
                goal = pointer(target, to) if direct else row
                if INNER:
                    for c in range(column_start.size):
                        at, i = entry(column_start, c), 0
                        while True:
                            value = splat(LANES, fill)
                            if not FILL or at >= 0:
                                value = load(LANES, x, src + at + i)
                            store(goal, c * inner + i, value)
                            if i + LANES >= inner:
                                break
                            i = min(i + LANES, inner - LANES)
                else:
                    samples = pointer(x, src)
                    if src + line_room.size > x.size:
                        samples = line
                        copy(line, 0, x, src, width_in)
                    for b in range(column_start.size):
                        form = entry(column_form, b) * LANES
                        index = load(LANES, column_index, form)
                        value = gather(SPREAD, samples, entry(column_start, b), index, 0)
                        if FILL:
                            value = unless_zero(load(LANES, column_inside, form), value, splat(LANES, fill))
                        if direct and b * stride + LANES > width:
                            store_first(goal, b * stride, value, width - b * stride)
                        else:
                            store(goal, b * stride, value)
            j, n = width if direct and source >= 0 else 0, -(lead + to) & (LANES - 1) if streams else 0
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
                if n < LANES and not collects:
                    store_first(target, to + j, value, n)
                elif streams:
                    stream(target, to + j, value)
                else:
                    store(target, to + j, value)
                j += n
                n = min(LANES, width - j)
            if collects and (r + 1 == last or (r + 1) * width - base >= STRIP_LINES * LANES):
                base = drain(pointer(out, 0), strip, LANES, lead, base, (r + 1) * width, r + 1 == last)
        if streams or collects:
            fence()

    return kernel
