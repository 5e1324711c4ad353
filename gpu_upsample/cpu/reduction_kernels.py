"""The CPU kernels of long sums: those of a gradient for a weight or a bias, over all windows of all arrays.

Samples are laid out so that what a tap sees in neighbouring windows is a vector: one lane of it for each of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import SCALARS, carrier_of, kind_of
from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import add_product, narrow, widen
from gpu_upsample.cpu.compiled import Kernel, inlined
from gpu_upsample.cpu.permute import gather, transpose
from gpu_upsample.cpu.tiles import VECTORS, add_lane_products, load_alone, store_alone
from gpu_upsample.cpu.vectors import BYTES, entry, fetch_a_page_ahead, load, pointer, splat, store, where_bits

DEPTH = 32
"""Vectors of windows whose products are added while their sums stay in registers."""

PIECE = np.dtype(
    [
        ("image", np.int64),
        ("depth", np.int64),  # its first window along the first two axes
        ("height", np.int64),
        ("rows", np.int64),
        ("begin", np.int64),  # turns of each of its rows
        ("end", np.int64),
    ]
)
"""Windows whose samples are laid out together: some rows of one plane, or a part of one row."""

CHUNK = np.dtype(
    [
        ("begin", np.int64),  # its pieces
        ("end", np.int64),
        ("starts", np.bool_),  # whether it is the first of a block of turns
        ("ends", np.bool_),  # whether it is the last
    ]
)
"""Pieces whose products are added at once: they have at most DEPTH vectors."""

LAYOUT = np.dtype(
    [
        ("groups", np.int64),
        ("channels", np.int64),  # of a group of the samples
        ("factors", np.int64),  # channels of a group of the factors
        ("taps", np.int64),
        ("size", np.int64, 3),
        ("windows", np.int64, 3),
        ("strides", np.int64, 3),
        ("factor_strides", np.int64, 3),
        ("stride_d", np.int64),  # of the windows
        ("stride_h", np.int64),
        ("lanes", np.int64),  # of a turn
        ("pitch", np.int64),  # the same, rounded up to a power of two
        ("layers", np.int64),  # vectors of a turn
        ("slots", np.int64),  # turns of a vector
        ("segments", np.int64),  # turns of a row
        ("lines", np.int64),  # of a row of samples
        ("vectors", np.int64),  # of a line
        ("beyond", np.int64),  # vectors of a line beyond those of its turns
        ("most_rows", np.int64),  # of a piece
        ("apart", np.int64),  # rows of samples from what a window sees to what that below it sees
        ("to_line", np.int64),  # numbers from one line to the next
        ("to_row", np.int64),
        ("to_plane", np.int64),
        ("to_piece", np.int64),
        ("to_channel", np.int64),
        ("columns", np.int64),  # of a channel
        ("reach", np.int64),  # scalars read in registers from the first of a vector on, of the samples
        ("factor_reach", np.int64),  # and of the factors
    ]
)
"""How samples are laid out, and what there is to lay out."""


@inlined
def lay_out(
    KIND, PARTS, LANES, NEAR, reach, x, size, at, step, part, tables, first, last, line, to, apart, zero,  # noqa: N803
):  # fmt: skip
    """Bring scalars of a row into some vectors; what is not there is a zero.

    Parameters
    ----------
    KIND, PARTS, LANES, NEAR : int
        As for `reduction_kernel`.
    reach : int
        Scalars that are read from the first one of a vector on, where they are read in registers.
    x, size : pointer, int
        The array, and how many scalars it has.
    at, step, part : int
        Where the row begins, how far its elements lie apart, and which scalar of each is meant.
    tables : tuple of 3 arrays
        For each vector the first element that it needs, how far from there each of its lanes lies, and a bit for each
        lane: whether it is there.
    first, last : int
        The vectors.
    line, to, apart : pointer, int, int
        The vectors in order, where the first goes, and numbers from one to the next.
    zero : scalar
        0.
    """
    places, offsets, bits = tables
    for v in range(first, last):
        base, there = at + entry(places, v) * step, entry(bits, v)
        if NEAR and base + reach <= size:
            for i in range(0, NEAR * LANES, LANES):
                fetch_a_page_ahead(x, base + i)
            picked = gather(NEAR, x, base, 0, load(LANES, offsets, v * LANES), 0)
            store(line, to, where_bits(there, widen(KIND, picked), splat(LANES, zero)))
        else:
            for lane in range(LANES):
                word = zero
                if (there >> lane) & 1:
                    word = widen(KIND, load_alone(x, (base + entry(offsets, v * LANES + lane) * step) * PARTS + part))
                store_alone(line, to + lane, word)
        to += apart


@inlined
def lay_out_together(
    KIND, LANES, x, at, step, channel, channels, tables, first, last, line, to, apart, to_channel, square,  # noqa: N803
    zero,
):  # fmt: skip
    """Bring neighbouring channels of a row into some vectors, in squares of LANES; what is not there is a zero.

    Parameters
    ----------
    KIND, LANES : int
        As for `reduction_kernel`.
    at : int
        Where the row begins in the first of all channels, which are LANES at least.
    channel, channels, to_channel : int
        The first channel that is meant, how many are, and numbers from the vectors of one to those of the next.
    square : pointer
        Room for a vector of each lane; the rest as for `lay_out`.
    """
    places, offsets, bits = tables
    until = channel + channels
    for v in range(first, last):
        base, there = at + entry(places, v) * step, entry(bits, v)
        for begun in range(channel, until, LANES):
            begin = max(min(begun, until - LANES), 0)
            for lane in range(LANES):
                store(square, lane * LANES, load(LANES, x, base + begin + entry(offsets, v * LANES + lane) * step))
            transpose(LANES, LANES, square, 0, LANES, square, 0)
            for i in range(max(channel - begin, 0), min(until - begin, LANES)):
                value = widen(KIND, load(LANES, square, i * LANES))
                goal = to + (begin + i - channel) * to_channel
                store(line, goal, where_bits(there, value, splat(LANES, zero)))
        to += apart


@inlined
def lay_out_samples(
    KIND, PARTS, LANES, NEAR, SQUARES, EXACT, x, size, at, channel, channels, together, layout, piece,  # noqa: N803
    planes, rows, tables, lines, marks, to, square, zero,
):  # fmt: skip
    """Lay out all that the taps see of some channels in the windows of a piece.

    Parameters
    ----------
    KIND, PARTS, LANES, NEAR, SQUARES, EXACT : int
        As for `reduction_kernel`.
    x, size, at : pointer, int, int
        The samples, how many scalars there are, and where those of the array begin.
    channel, channels : int
        The first channel, and how many.
    together : bool
        Whether neighbouring channels are laid out together.
    layout, piece : record
        The layout, and the piece.
    planes, rows : ndarray of int
        Which planes the taps see, and which rows the piece does, counted from those of its first window.
    tables : tuple of 3 arrays
        As for `lay_out`.
    lines, marks, to : pointer, pointer, int
        Where the lines go; where, if EXACT, it is marked with 1 which of them there are; and where they begin.
    square, zero : pointer, scalar
        Room for a vector of each lane; 0.
    """
    begin = piece.begin * layout.pitch // LANES
    end = begin + (piece.end - piece.begin) * layout.layers + layout.beyond
    for i in range(planes.size):
        for j in range(rows.size - (layout.most_rows - piece.rows) * layout.apart):
            z, y = piece.depth * layout.stride_d + planes[i], piece.height * layout.stride_h + rows[j]
            there = 0 <= z < layout.size[0] and 0 <= y < layout.size[1]
            row = to + i * layout.to_plane + j * layout.to_row
            source = at + (z * layout.size[1] + y) * layout.size[2] * layout.strides[2]
            for k in range(layout.lines if SQUARES and together and there else 0):
                first = k * layout.vectors
                lay_out_together(
                    KIND, LANES, x, source, layout.strides[2], channel, channels, tables, first + begin, first + end,
                    lines, row + k * layout.to_line, LANES, layout.to_channel, square, zero,
                )  # fmt: skip
            for c in range(channels):
                line = row + c * layout.to_channel
                for p in range(line, line if there else line + layout.to_row, LANES):
                    store(lines, p, splat(LANES, zero))
                    if EXACT:
                        store(marks, p, splat(LANES, zero))
                for k in range(layout.lines * PARTS if there else 0):
                    first = k // PARTS * layout.vectors
                    if not (SQUARES and together):
                        lay_out(
                            KIND, PARTS, LANES, NEAR, layout.reach, x, size, source + (channel + c) * layout.strides[1],
                            layout.strides[2], k % PARTS, tables, first + begin, first + end, lines, line, LANES, zero,
                        )  # fmt: skip
                    for v in range(begin, end if EXACT else begin):
                        mark = where_bits(entry(tables[2], first + v), splat(LANES, zero + 1), splat(LANES, zero))
                        store(marks, line + (v - begin) * LANES, mark)
                    line += layout.to_line


@inlined
def lay_out_factors(
    KIND, PARTS, LANES, NEAR, SQUARES, x, size, at, channel, height, together, layout, row, first, last,  # noqa: N803
    tables, held, to, pitch, square, zero,
):  # fmt: skip
    """Lay out the factors of some channels in the windows of a row.

    Parameters
    ----------
    KIND, PARTS, LANES, NEAR, SQUARES : int
        As for `reduction_kernel`.
    x, size, at : pointer, int, int
        The factors, how many scalars there are, and where those of the row begin in the first of all channels.
    channel, height : int
        The first channel that is meant, and how many scalars those have that are.
    together : bool
        Whether neighbouring channels are laid out together.
    layout : record
        The layout.
    row, first, last : int
        Which vectors, in `tables`: those of the row's windows begin at `row`.
    tables : tuple of 3 arrays
        As for `lay_out`.
    held, to, pitch : pointer, int, int
        Where the vectors go, where those of the first channel begin, and numbers from one channel's scalar to the next.
    square, zero : pointer, scalar
        Room for a vector of each lane; 0.
    """
    if SQUARES and together:
        lay_out_together(
            KIND, LANES, x, at, layout.factor_strides[2], channel, height, tables, row + first, row + last, held, to,
            LANES, pitch, square, zero,
        )  # fmt: skip
    for i in range(0 if SQUARES and together else height):
        lay_out(
            KIND, PARTS, LANES, NEAR, layout.factor_reach, x, size,
            at + (channel + i // PARTS) * layout.factor_strides[1],
            layout.factor_strides[2], i % PARTS, tables, row + first, row + last, held,
            to + i // PARTS * PARTS * pitch + i % PARTS * LANES, PARTS * LANES, zero,
        )  # fmt: skip


@inlined
def turn_factors(SUM, LANES, held, pitch, height, depth, one):  # noqa: N803
    """Make the rows that the imaginary parts of sums are formed with, -b and a, of those of the real parts, a and b.

    A factor is a + bi, a sample c + di, and what is summed (a - bi)(c + di) = (ac + bd) + (ad - bc)i.

    Parameters
    ----------
    SUM, LANES : int
        Kind of an accumulator, and numbers of a vector.
    held, pitch : pointer, int
        The factors, and numbers from one row to the next: each second row is made.
    height, depth : int
        How many rows there are, and vectors of each.
    one : scalar
        1.
    """
    for i in range(0, height, 2):
        for p in range(i * pitch, i * pitch + depth * LANES, 2 * LANES):
            imaginary = load(LANES, held, p + LANES)
            minus = add_product(SUM, imaginary, splat(LANES, -one), splat(LANES, -(one - one)))
            store(held, pitch + p, minus)
            store(held, pitch + p + LANES, load(LANES, held, p))


@inlined
def add_lanes(SUM, LANES, ROWS, sums, at, turned, lanes, apart, slots, totals, to, one):  # noqa: N803
    """Add the lanes of a block of sums to the totals of their columns, in ascending order.

    Parameters
    ----------
    SUM, LANES, ROWS : int
        Kind of an accumulator; the others as for `reduction_kernel`.
    sums, at : pointer, int
        Sums, of which the block has VECTORS vectors in each row, and where it begins.
    turned : pointer
        Room for a vector of each row.
    lanes, apart, slots : int
        Lanes of a column, how far columns lie apart in a vector, and how many a vector has.
    totals, to : pointer, int
        The totals, ROWS of each column, and where those of the block begin.
    one : scalar
        1.
    """
    for v in range(VECTORS):
        transpose(ROWS, LANES, sums, at + v * LANES, VECTORS * LANES, turned, 0)
        for slot in range(slots):
            place = to + (v * slots + slot) * ROWS
            total = load(ROWS, totals, place)
            for lane in range(slot * apart, slot * apart + lanes):
                total = add_product(SUM, load(ROWS, turned, lane * ROWS), splat(ROWS, one), total)
            store(totals, place, total)


@inlined
def write_totals(KIND, PARTS, LANES, ROWS, totals, at, channels, layout, tap_of, turned, out, to, height):  # noqa: N803
    """Write the totals of a row of blocks.

    Parameters
    ----------
    KIND, PARTS, LANES, ROWS : int
        As for `reduction_kernel`.
    totals, at : pointer, int
        The totals, and where these begin.
    channels, layout : int, record
        Channels of the samples that they belong to; the layout.
    tap_of : ndarray of int
        The tap of each slot of a channel's columns, -1 if there is none.
    turned : pointer
        Room for a vector of each row.
    out, to, height : pointer, int, int
        The result, the element of the first total, and how many rows are written.
    """
    slots, beside, done = layout.columns * layout.slots, layout.channels * layout.taps, 0
    while PARTS == 1 and slots == layout.taps and done + LANES <= channels * slots:
        transpose(LANES, ROWS, totals, at + done * ROWS, ROWS, turned, 0)
        for r in range(height):
            store(out, to + r * beside + done, narrow(KIND, load(LANES, turned, r * LANES)))
        done += LANES
    for q in range(done, channels * slots):
        tap = tap_of[q % slots]
        for r in range(height if tap >= 0 else 0):
            word = narrow(KIND, load_alone(totals, at + q * ROWS + r))
            store_alone(out, (to + r // PARTS * beside + q // slots * layout.taps + tap) * PARTS + r % PARTS, word)


@cache
def reduction_kernel(KIND: int, PARTS: int, LANES: int, NEAR: int, SQUARES: int, ROWS: int, EXACT: int) -> Any:  # noqa: N803
    """Return the kernel that forms long sums, of some channels of factors and of samples at a time, or of some groups.

    Every row of a block of sums belongs to a scalar of a channel of the factors, every column to a channel of the
    samples and a tap, or to as many taps as the lanes of a turn fit into a vector.

    Parameters
    ----------
    KIND, PARTS : int
        Kind of the stored scalars; scalars of an element, 2 for complex numbers.
    LANES, ROWS : int
        Numbers of a vector, and rows of a block, a multiple of PARTS.
    NEAR : int
        Registers in which all samples of a vector always lie, where those of a row are neighbours; or 0.
    SQUARES : int
        1 if neighbouring channels are laid out together, in squares, of samples or factors; else 0.
    EXACT : int
        0 if a sample or window that is not there counts as 0, which is right as long as all factors are finite; 1 if
        it does not count at all. With 0, a job with a sum that is not finite is marked as doubtful, for then a factor
        may not be. With 1, only these are done.
    """
    PITCH = (DEPTH * PARTS + 1) * LANES  # rows that lie a power of two apart would share a set of the cache
    SUM = kind_of(SCALARS[KIND].accumulator)

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, factors, out, doubtful, cuts, most, bundle, together, layouts, planes, rows, chunks, pieces, tables,
            column_of, tap_of, to_block, zero, lines, present, multipliers, sums, totals, turned, stored, steps, own,
            doubt,
        ) = unpack(arguments, scratch)  # fmt: skip
        layout, one = layouts[0], zero + 1
        samples, factored, goal, square = pointer(x, 0), pointer(factors, 0), pointer(out, 0), pointer(turned, 0)
        words = pointer(stored, 0)
        seen, marks, held = pointer(lines, 0), pointer(present, 0), pointer(multipliers, 0)
        blocks, whole, unsure = pointer(sums, 0), pointer(totals, 0), pointer(doubt, 0)
        columns, slots = layout.columns, layout.slots
        for job in range(first, last):
            if EXACT and not doubtful[job]:
                continue
            cut, rest = job % cuts[0], job // cuts[0]
            channel, channels = cut * most[0], min(most[0], layout.channels - cut * most[0])
            cut, group = rest % cuts[1], rest // cuts[1] * bundle
            groups = min(bundle, layout.groups - group)
            factor, height = cut * most[1], min(most[1], layout.factors - cut * most[1]) * PARTS
            across, down = (columns * channels + VECTORS - 1) // VECTORS, (height + ROWS - 1) // ROWS
            # A group's last block goes on with the rows of the next group, and that of the last one with zeros.
            below, of_group = (groups - 1) * height + down * ROWS, across * VECTORS * slots * ROWS * down
            for q in range(across * VECTORS):  # the last block is filled up with its last column
                column = min(q, columns * channels - 1)
                own[q] = column // columns * layout.to_channel + column_of[column % columns]
            for p in range(groups * height * PITCH, below * PITCH, LANES):
                store(held, p, splat(LANES, zero))
            for p in range(0, groups * of_group, ROWS):
                store(whole, p, splat(ROWS, zero))
            for n in range(chunks.shape[0]):
                chunk = chunks[n]
                for layer in range(layout.layers):
                    depth = 0
                    for number in range(chunk.begin, chunk.end):
                        piece, ahead = pieces[number], (number - chunk.begin) * layout.to_piece
                        if layer == 0:
                            at = piece.image * layout.strides[0]
                            lay_out_samples(
                                KIND, PARTS, LANES, NEAR, SQUARES, EXACT, samples, x.size, at,
                                group * layout.channels + channel, groups * channels, together[0], layout, piece,
                                planes, rows, tables, seen, marks, ahead, words, zero,
                            )  # fmt: skip
                        line, end = layout.lines * layout.vectors + layer * layout.segments, piece.end
                        if end == layout.segments and (end - 1) * layout.lanes + layer * LANES >= layout.windows[2]:
                            end = max(piece.begin + 1, end - 1)  # this layer of a row's last turn is empty
                        for r in range(piece.rows):
                            at = piece.image * layout.factor_strides[0]
                            row = piece.depth * layout.windows[1] + piece.height + r
                            at += row * layout.windows[2] * layout.factor_strides[2]
                            lay_out_factors(
                                KIND, PARTS, LANES, NEAR, SQUARES, factored, factors.size, at,
                                group * layout.factors + factor, groups * height, together[1], layout, line,
                                piece.begin, end, tables, held, depth * LANES, PITCH, words, zero,
                            )  # fmt: skip
                            for turn in range(piece.begin, end):
                                at = ahead + r * layout.apart * layout.to_row + layer * LANES
                                at += (turn - piece.begin) * layout.pitch
                                for p in range(PARTS):
                                    steps[depth] = at + p * layout.to_line
                                    if EXACT:
                                        mark = entry(tables[2], line + turn)
                                        mark_at = below * PITCH + depth * LANES
                                        store(held, mark_at, where_bits(mark, splat(LANES, one), splat(LANES, zero)))
                                    depth += 1
                    if PARTS > 1:
                        turn_factors(SUM, LANES, held, PITCH, height, depth, one)
                    for block in range(groups * down * across):
                        g, i, j = block // across // down, block // across % down, block % across
                        keep = (layer * groups * down * across + block) * to_block
                        add_lane_products(
                            LANES, ROWS, EXACT, depth, pointer(lines, g * channels * layout.to_channel), steps,
                            pointer(own, j * VECTORS), pointer(present, g * channels * layout.to_channel * EXACT), held,
                            (g * height + i * ROWS) * PITCH, PITCH, below * PITCH, blocks, keep, chunk.starts,
                        )  # fmt: skip
                        if chunk.ends:
                            add_lanes(
                                SUM, LANES, ROWS, blocks, keep, square, min(layout.lanes - layer * LANES, LANES),
                                layout.pitch, slots, whole, block * VECTORS * slots * ROWS, one,
                            )  # fmt: skip
            store(unsure, 0, splat(ROWS, zero))
            for p in range(0, groups * of_group, ROWS):  # 0 times what is not finite is NaN
                store(unsure, 0, add_product(SUM, load(ROWS, whole, p), splat(ROWS, zero), load(ROWS, unsure, 0)))
            for r in range(ROWS):
                if not EXACT and doubt[r] != doubt[r]:
                    doubtful[job] = True
            for i in range(groups * down):
                g, above = i // down, i % down * ROWS
                to = ((group + g) * layout.factors + factor + above // PARTS) * layout.channels + channel
                write_totals(
                    KIND, PARTS, LANES, ROWS, whole, i * across * VECTORS * slots * ROWS, channels, layout, tap_of,
                    square, goal, to * layout.taps, min(ROWS, height - above),
                )  # fmt: skip

    return kernel


@cache
def total_kernel(KIND: int, PARTS: int, LANES: int) -> Any:  # noqa: N803
    """Return the kernel that forms the long sums of all samples of each channel.

    Parameters
    ----------
    KIND, PARTS : int
        As for `reduction_kernel`.
    LANES : int
        Lanes of a turn, or more, up to a power of two.
    """
    LINE = BYTES * 8 // carrier_of(KIND).bitwidth

    @Kernel
    def kernel(first, last, arguments, scratch):
        x, out, images, rows, width, strides, lanes, turns, near, zero, sums, total = unpack(arguments, scratch)
        held, samples = pointer(sums, 0), pointer(x, 0)
        for channel in range(first, last):
            total[:] = zero
            sums[:] = zero
            turn = 0
            for row in range(images * rows):
                begin = row // rows * strides[0] + channel * strides[1] + row % rows * width * strides[2]
                for left in range(0, width, lanes):
                    at, there = begin + left * strides[2], min(lanes, width - left)
                    if near and at + LANES <= x.size:
                        for lane in range(0, LANES, LINE):
                            fetch_a_page_ahead(samples, at + lane)
                        every = (1 << there) - 1
                        value = where_bits(every, widen(KIND, load(LANES, samples, at)), splat(LANES, zero))
                        store(held, 0, add_product(KIND, value, splat(LANES, zero + 1), load(LANES, held, 0)))
                    else:
                        for lane in range(there):
                            for p in range(PARTS):
                                word = widen(KIND, load_alone(samples, (at + lane * strides[2]) * PARTS + p))
                                sums[p * LANES + lane] += word
                    turn += 1
                    if turn == turns or (row == images * rows - 1 and left + lanes >= width):
                        turn = 0
                        for p in range(PARTS):
                            for lane in range(lanes):
                                total[p] += sums[p * LANES + lane]
                        sums[:] = zero
            for p in range(PARTS):
                out[channel * PARTS + p] = narrow(KIND, total[p])

    return kernel


@cache
def neighbours_kernel(KIND: int, LANES: int) -> Any:  # noqa: N803
    """Return the kernel that forms those of LANES neighbouring channels at once, each in the order of `total_kernel`.

    The last channels are formed together with some before them, once more, which two threads may do at the same time:
    they write the same.

    Parameters
    ----------
    KIND, LANES : int
        As for `reduction_kernel`.
    """
    SUM = kind_of(SCALARS[KIND].accumulator)

    @Kernel
    def kernel(first, last, arguments, scratch):
        x, out, images, rows, width, strides, lanes, turns, zero, sums = unpack(arguments, scratch)
        held, samples, goal, one = pointer(sums, 0), pointer(x, 0), pointer(out, 0), splat(LANES, zero + 1)
        for job in range(first, last):
            channel = min(job * LANES, out.size - LANES)
            for lane in range(lanes + 1):  # behind those of a turn's lanes, the totals
                store(held, lane * LANES, splat(LANES, zero))
            turn = 0
            for row in range(images * rows):
                begin = row // rows * strides[0] + row % rows * width * strides[2] + channel
                for left in range(0, width, lanes):
                    for lane in range(min(lanes, width - left)):
                        at = begin + (left + lane) * strides[2]
                        fetch_a_page_ahead(samples, at)
                        value = widen(KIND, load(LANES, samples, at))
                        store(held, lane * LANES, add_product(SUM, value, one, load(LANES, held, lane * LANES)))
                    turn += 1
                    if turn == turns or (row == images * rows - 1 and left + lanes >= width):
                        turn = 0
                        total = load(LANES, held, lanes * LANES)
                        for lane in range(lanes):
                            total = add_product(SUM, load(LANES, held, lane * LANES), one, total)
                            store(held, lane * LANES, splat(LANES, zero))
                        store(held, lanes * LANES, total)
            store(goal, channel, narrow(KIND, load(LANES, held, lanes * LANES)))

    return kernel
