"""The CPU kernel of short sums of a transposed convolution: it forms them row by row.

Rows of samples are laid out as lines in which what neighbouring outputs read lies side by side. It adds the same terms
in the same order as the kernel of long sums, which forms them in tiles.

What is laid out, from the outermost on: samples by plane, row, channel, line, scalar of an element, and number; factors
by rows of a block, tap along the first two axes, phase, channel, term, scalar of an element, and row of the block; sums
by row of the block, phase if those of a row are written together, and number. A number is a place in a line, or the
output that is summed over what begins there. All go to rooms of numbers of the accumulator; a `zero` of it, which many
functions take, tells Numba its type.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import add_product, narrow, widen
from gpu_upsample.cpu.compiled import Kernel, inlined
from gpu_upsample.cpu.conv_transpose_factors import load_factor
from gpu_upsample.cpu.permute import deinterleave, transpose
from gpu_upsample.cpu.tiles import add_terms, load_alone, store_alone
from gpu_upsample.cpu.vectors import fetch_a_page_ahead, load, pointer, splat, store, store_first, where_bits

LINE = np.dtype(
    [
        ("first", np.int64),  # the sample of a row that its number 0 would be
        ("low", np.int64),  # its first number that is a sample
        ("high", np.int64),  # the one behind the last
    ]
)
"""Samples of a row that lie evenly apart."""

PHASE = np.dtype(
    [
        ("begin", np.int64),  # its terms
        ("end", np.int64),
        ("count", np.int64),  # its outputs
    ]
)
"""Outputs of a row that lie evenly apart."""

CHUNK = np.dtype(
    [
        ("depth", np.int64),  # the plane of its outputs
        ("begin", np.int64),  # their rows
        ("end", np.int64),
        ("start", np.int64),  # which of each phase
        ("stop", np.int64),
        ("first_row", np.int64),  # the rows that it lays out
        ("rows", np.int64),
    ]
)
"""Outputs whose samples are laid out together: some rows of a plane, or a part of them."""

SIZES = np.dtype(
    [
        ("images", np.int64),
        ("channels", np.int64),  # of a group of the input
        ("height", np.int64),  # scalars of the channels of a group of the output
        ("taps", np.int64),  # along the first two axes
        ("kernel_h", np.int64),
        ("kernel_w", np.int64),
        ("size_in", np.int64, 3),
        ("size_out", np.int64, 3),
        ("strides_in", np.int64, 3),
        ("strides_out", np.int64, 3),
        ("weight_strides", np.int64, 3),
        ("step", np.int64),  # from one sample of a line to the next
        ("to_line", np.int64),  # numbers from one line to the next
        ("to_channel", np.int64),
        ("to_row", np.int64),
        ("to_plane", np.int64),
        ("pitch", np.int64),  # sums of a phase that are formed at once
        ("terms", np.int64),  # of all phases, in a row
    ]
)
"""What there is to sum up, and how it is laid out."""


@inlined
def lay_out_singly(KIND, LANES, x, src, apart, low, high, laid, goal, zero):  # noqa: N803
    """Lay out a vector of scalars one by one, from lane `low` up to `high`; the others are zeros.

    Parameters
    ----------
    KIND, LANES : int
        As for `row_kernel`.
    x, src, apart : pointer, int, int
        The input, where the scalar of the first lane would lie, and how far those of the others lie apart.
    low, high : int
        The lanes that have one.
    laid, goal, zero : pointer, int, scalar
        Where they go; 0.
    """
    for lane in range(LANES):
        word = zero
        if low <= lane < high:
            word = widen(KIND, load_alone(x, src + lane * apart))
        store_alone(laid, goal + lane, word)


@inlined
def lay_out_lines(
    KIND, PARTS, LANES, TOGETHER, x, size, at, step, between, lines, first, last, laid, to, to_line, square, zero,  # noqa: N803
):  # fmt: skip
    """Lay out numbers of the lines of a row, in vectors; what is not a sample is a zero.

    Parameters
    ----------
    KIND, PARTS, LANES, TOGETHER : int
        As for `row_kernel`.
    x, size : pointer, int
        The input, and how many scalars it has.
    at, step, between : int
        Where the row begins, and how far numbers and samples lie apart.
    lines : array of LINE
        The lines.
    first, last : int
        Which numbers of each, from the first up to the last: whole vectors.
    laid, to, to_line : pointer, int, int
        Where the first line goes, and numbers from one line to the next.
    square, zero : pointer, scalar
        Room for a vector of each line; 0.
    """
    for n in range(first, last, LANES):
        src = (at + (n * step + lines[0].first) * between) * PARTS if lines.size else 0
        beside = TOGETHER and src >= 0 and src + LANES * TOGETHER <= size
        if beside:
            for k in range(0, TOGETHER * LANES, LANES):
                fetch_a_page_ahead(x, src + k)
            deinterleave(TOGETHER, LANES, x, src, square, 0)
        for k in range(lines.size * PARTS):
            line, goal = lines[k // PARTS], to + k * to_line + n - first
            low, high = min(max(line.low - n, 0), LANES), min(max(line.high - n, 0), LANES)
            if beside:
                there = (1 << high) - (1 << low) if high > low else 0
                store(laid, goal, where_bits(there, widen(KIND, load(LANES, square, k * LANES)), splat(LANES, zero)))
            else:
                number = (at + (n * step + line.first) * between) * PARTS + k % PARTS
                lay_out_singly(KIND, LANES, x, number, step * between * PARTS, low, high, laid, goal, zero)


@inlined
def lay_out_squares(
    KIND, PARTS, LANES, SQUARE, x, size, at, step, between, scalars, lines, first, last, laid, to, to_channel,  # noqa: N803
    to_line, square, zero,
):  # fmt: skip
    """Lay out numbers of the lines of a row, for all channels of a group, which follow one another in the input.

    Parameters
    ----------
    KIND, PARTS, LANES, SQUARE : int
        As for `row_kernel`.
    scalars, to_channel : int
        Scalars of a sample's channels, and numbers from the first line of one channel to that of the next.
    square : pointer
        Room for SQUARE vectors; the rest as for `lay_out_lines`.
    """
    for k in range(lines.size):
        line, pitch = lines[k], step * between * PARTS
        for n in range(first, last, LANES):
            low, high = min(max(line.low - n, 0), LANES), min(max(line.high - n, 0), LANES)
            src, there = (at + (n * step + line.first) * between) * PARTS, (1 << high) - (1 << low) if high > low else 0
            inside = src >= 0 and src + (LANES - 1) * pitch + scalars <= size
            for begun in range(0, scalars, SQUARE):
                begin = min(begun, scalars - SQUARE)
                if inside:
                    transpose(LANES, SQUARE, x, src + begin, pitch, square, 0)
                for i in range(SQUARE):
                    scalar = begin + i
                    goal = to + scalar // PARTS * to_channel + (k * PARTS + scalar % PARTS) * to_line + n - first
                    if inside:
                        value = widen(KIND, load(LANES, square, i * LANES))
                        store(laid, goal, where_bits(there, value, splat(LANES, zero)))
                    else:
                        lay_out_singly(KIND, LANES, x, src + scalar, pitch, low, high, laid, goal, zero)


@inlined
def lay_out_factors(KIND, PARTS, ROWS, CONJUGATED, weight, at, sizes, phases, taps, factors, zero):  # noqa: N803
    """Lay out the weight of a group in the order in which it is multiplied; return 0, or NaN if it is not finite.

    Parameters
    ----------
    KIND, PARTS, ROWS, CONJUGATED : int
        As for `row_kernel`.
    weight, at : pointer, int
        The weight, and where that of the group begins.
    sizes : record
        What there is.
    phases, taps : arrays of PHASE, of int
        The phases, and which tap each of their terms has.
    factors, zero : pointer, scalar
        Where the factors go; 0.
    """
    unsure, to = zero, 0
    for begun in range(0, sizes.height, ROWS):
        for above in range(sizes.taps):
            for q in range(phases.size):
                for c in range(sizes.channels):
                    for term in range(phases[q].begin, phases[q].end):
                        src = at + c * sizes.weight_strides[1] + above * sizes.kernel_w + taps[term]
                        for of in range(PARTS):
                            for i in range(ROWS):
                                row, factor = begun + i, zero
                                if row < sizes.height:
                                    place = src + row // PARTS * sizes.weight_strides[2]
                                    factor = load_factor(KIND, PARTS, CONJUGATED, weight, place, row % PARTS, of)
                                unsure += factor * zero
                                store_alone(factors, to, factor)
                                to += 1
    return unsure


@inlined
def write_row(KIND, LANES, BESIDE, sums, at, pitch, out, dst, count, turned, zero):  # noqa: N803
    """Write a row of outputs of a channel, or a part of it: those of all phases in order.

    Parameters
    ----------
    KIND, LANES, BESIDE : int
        As for `row_kernel`.
    sums, at, pitch : pointer, int, int
        The sums, where those of the first phase begin, and how far those of the next lie behind them.
    out, dst, count : pointer, int, int
        The output, where the row begins, and how many outputs there are.
    turned, zero : pointer, scalar
        Room for a vector of each phase; 0.
    """
    done, none = 0, splat(LANES, zero)
    while done < count:
        transpose(BESIDE, LANES, sums, at + done // BESIDE, pitch, turned, 0)
        for p in range(0, BESIDE * LANES, LANES):
            # To add 0 leaves no -0.0 where all terms are zero, or where there are none.
            total = narrow(KIND, add_product(KIND, none, none, load(LANES, turned, p)))
            if done + LANES <= count:
                store(out, dst + done, total)
            elif done < count:
                store_first(out, dst + done, total, count - done)
            done += LANES


@inlined
def write_phase(
    KIND, PARTS, LANES, ROWS, LAST, sums, apart, out, dst, between, across, count, height, turned, zero,  # noqa: N803
):  # fmt: skip
    """Write the outputs of some channels that belong to one phase of a row, or to a part of it.

    Parameters
    ----------
    KIND, PARTS, LANES, ROWS, LAST : int
        As for `row_kernel`.
    sums, apart : pointer, int
        The sums, and numbers from those of one scalar of a channel to those of the next.
    out, dst, between, across : pointer, int, int, int
        The output, where the first scalar lies, and how far those of the next output, and of the next channel, lie
        behind it.
    count, height : int
        How many outputs there are, and scalars of channels.
    turned, zero : pointer, scalar
        Room for a vector of each row; 0.
    """
    none = splat(ROWS, zero)
    if LAST:
        for j in range(count):
            if j % LANES == 0:
                transpose(ROWS, LANES, sums, j, apart, turned, 0)
            total = narrow(KIND, add_product(KIND, none, none, load(ROWS, turned, j % LANES * ROWS)))
            if height == ROWS:
                store(out, dst + j * between, total)
            else:
                store_first(out, dst + j * between, total, height)
    else:
        for i in range(height):
            to = dst + i // PARTS * across + i % PARTS
            for j in range(count):
                total = add_product(KIND, zero, zero, load_alone(sums, i * apart + j))
                store_alone(out, to + j * between, narrow(KIND, total))


@cache
def row_kernel(
    KIND: int,  # noqa: N803
    PARTS: int,  # noqa: N803
    LANES: int,  # noqa: N803
    ROWS: int,  # noqa: N803
    MOST: int,  # noqa: N803
    TOGETHER: int,  # noqa: N803
    SQUARE: int,  # noqa: N803
    BESIDE: int,  # noqa: N803
    LAST: int,  # noqa: N803
    CONJUGATED: int,  # noqa: N803
    EXACT: int,  # noqa: N803
) -> Any:
    """Return the kernel that forms the sums of whole output rows.

    Parameters
    ----------
    KIND, PARTS : int
        Kind of the stored scalars; scalars of an element, 2 for complex numbers.
    LANES, ROWS, MOST : int
        Numbers of a vector; rows of a block of sums, a multiple of PARTS, one for each scalar of a channel; and how
        many vectors these have at most.
    TOGETHER : int
        How many lines, one for each scalar of each phase of the samples, are laid out together, in vectors; or 0.
    SQUARE : int
        Where channels are the last axis, and a group has more than one: scalars of neighbouring channels that are laid
        out together, or 0.
    BESIDE : int
        How many phases the outputs have, where those of a row are written in vectors, or 0.
    LAST : int
        1 if the rows of a block are neighbours in the output: of several channels, which are its last axis; else 0.
    CONJUGATED : int
        1 if complex factors are conjugated, else 0.
    EXACT : int
        0 if a sample that is not there counts as 0, which is right as long as all factors are finite: jobs with others
        are marked as doubtful, and not done. With 1, it does not count at all, and only these are done.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, weight, bias, out, doubtful, layouts, chunks, rows, depth_table, depth_steps, height_table, height_steps,
            lines, phases, taps, steps, mark_steps, zero, line_room, mark_room, factor_room, sum_room, turned_room,
            square_room,
        ) = unpack(arguments, scratch)  # fmt: skip
        sizes, samples, goal = layouts[0], pointer(x, 0), pointer(out, 0)
        laid, marks, factors = pointer(line_room, 0), pointer(mark_room, 0), pointer(factor_room, 0)
        sums, turned, square = pointer(sum_room, 0), pointer(turned_room, 0), pointer(square_room, 0)
        between, apart = sizes.strides_in[2], max(BESIDE, 1) * sizes.pitch
        group_of_factors, unsure = -1, zero
        for job in range(first, last):
            if EXACT and not doubtful[job]:
                continue
            chunk, rest = chunks[job % chunks.size], job // chunks.size
            image, group = rest % sizes.images, rest // sizes.images
            if group != group_of_factors:
                group_of_factors = group
                unsure = lay_out_factors(
                    KIND, PARTS, ROWS, CONJUGATED, pointer(weight, 0), group * sizes.weight_strides[0], sizes, phases,
                    taps, factors, zero,
                )  # fmt: skip
            if not EXACT and unsure != unsure:
                doubtful[job] = True
                continue
            planes, last_number = depth_table[2, chunk.depth], chunk.start + sizes.to_line
            for a in range(planes):
                z = depth_table[0, chunk.depth] + a * depth_steps[0]
                for i in range(chunk.rows):
                    row = (z * sizes.size_in[1] + rows[chunk.first_row + i]) * sizes.size_in[2]
                    if SQUARE:
                        at = image * sizes.strides_in[0] + group * sizes.channels + row * between
                        lay_out_squares(
                            KIND, PARTS, LANES, SQUARE, samples, x.size, at, sizes.step, between,
                            sizes.channels * PARTS, lines, chunk.start, last_number, laid,
                            a * sizes.to_plane + i * sizes.to_row, sizes.to_channel, sizes.to_line, square, zero,
                        )  # fmt: skip
                    for c in range(0 if SQUARE else sizes.channels):
                        at = image * sizes.strides_in[0] + (group * sizes.channels + c) * sizes.strides_in[1]
                        to = a * sizes.to_plane + i * sizes.to_row + c * sizes.to_channel
                        lay_out_lines(
                            KIND, PARTS, LANES, TOGETHER, samples, x.size, at + row * between, sizes.step, between,
                            lines, chunk.start, last_number, laid, to, sizes.to_line, square, zero,
                        )  # fmt: skip
            for k in range(lines.size if EXACT else 0):
                for n in range(sizes.to_line):
                    there = lines[k].low <= chunk.start + n < lines[k].high
                    mark_room[k * sizes.to_line + n] = zero + 1 if there else zero
            for oh in range(chunk.begin, chunk.end):
                slot, first_tap, above = height_table[0, oh], height_table[1, oh], height_table[2, oh]
                output = (chunk.depth * sizes.size_out[1] + oh) * sizes.size_out[2] + chunk.start * phases.size
                count = min((chunk.stop - chunk.start) * phases.size, sizes.size_out[2] - chunk.start * phases.size)
                row_out = image * sizes.strides_out[0] + output * sizes.strides_out[2]
                for begun in range(0, sizes.height, ROWS):
                    height, scalar = min(ROWS, sizes.height - begun), group * sizes.height + begun
                    dst = row_out + scalar // PARTS * sizes.strides_out[1]
                    for q in range(phases.size):
                        phase, at = phases[q], q * sizes.pitch if BESIDE else 0
                        before = phase.begin * sizes.channels * PARTS
                        terms = phase.end * sizes.channels * PARTS - before
                        of_phase = min(chunk.stop, phase.count) - chunk.start
                        vectors = (of_phase + LANES - 1) // LANES
                        for i in range(ROWS):
                            value = widen(KIND, bias[scalar + i]) if bias.size and i < height else zero
                            for v in range(vectors):
                                store(sums, i * apart + at + v * LANES, splat(LANES, value))
                        for a in range(planes if above and terms else 0):
                            tap = (depth_table[1, chunk.depth] + a * depth_steps[1]) * sizes.kernel_h + first_tap
                            own = (begun // ROWS * sizes.taps + tap) * sizes.terms + before
                            for v in range(0, vectors, MOST):
                                add_terms(
                                    LANES, ROWS, MOST, EXACT, min(MOST, vectors - v), above, terms, laid,
                                    a * sizes.to_plane + slot * sizes.to_row + v * LANES,
                                    height_steps[0] * sizes.to_row, pointer(steps, before),
                                    marks, v * LANES, pointer(mark_steps, before),
                                    factors, own * ROWS, height_steps[1] * sizes.terms * ROWS,
                                    sums, at + v * LANES, apart,
                                )  # fmt: skip
                        if not BESIDE:
                            write_phase(
                                KIND, PARTS, LANES, ROWS, LAST, sums, apart, goal,
                                (dst + q * sizes.strides_out[2]) * PARTS, phases.size * sizes.strides_out[2] * PARTS,
                                sizes.strides_out[1] * PARTS, of_phase, height, turned, zero,
                            )  # fmt: skip
                    if BESIDE:
                        for i in range(height):
                            to = dst + i * sizes.strides_out[1]
                            write_row(KIND, LANES, BESIDE, sums, i * apart, sizes.pitch, goal, to, count, turned, zero)

    return kernel
