"""The CPU kernels of a transposed convolution with channels last: sums of neighbouring channels are formed together.

Samples are read where they lie, and whole vectors are written: nothing is laid out but the weight. Only samples that
are there are read, so that no zero stands for one. The order of the terms is that of the other ways.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import add_product, narrow, widen
from gpu_upsample.cpu.compiled import Kernel, inlined
from gpu_upsample.cpu.conv_transpose_factors import load_factor
from gpu_upsample.cpu.permute import transpose
from gpu_upsample.cpu.tiles import add_channels, store_alone
from gpu_upsample.cpu.vectors import load, pointer, splat, store, store_first

BLOCKS = 32
"""Blocks of positions whose sums wait while they are multiplied by the next part of the factors."""

DEPTH = 128
"""Terms of such a part: it stays in the first cache."""

SEGMENT = np.dtype(
    [
        ("first", np.int64),  # its first output
        ("count", np.int64),  # its outputs
        ("place", np.int64),  # the first sample that the first of them reads
        ("tap", np.int64),  # the tap of this sample
        ("pairs", np.int64),  # samples that each of them reads
    ]
)
"""Outputs along an axis that lie evenly apart, and read samples that lie as far apart, by the same taps."""

CHUNK = np.dtype(
    [
        ("first", np.int64),  # its first scalar
        ("vectors", np.int64),
    ]
)
"""Scalars of neighbouring channels of the output whose sums are formed together."""

SIZES = np.dtype(
    [
        ("images", np.int64),
        ("channels", np.int64),  # of a group of the input
        ("height", np.int64),  # scalars of the channels of a group of the output
        ("cuts", np.int64),  # parts of the positions of each region
        ("kernel", np.int64, 3),
        ("size_in", np.int64, 3),
        ("size_out", np.int64, 3),
        ("strides_in", np.int64, 3),
        ("strides_out", np.int64, 3),
        ("weight_strides", np.int64, 3),
        ("output_step", np.int64, 3),  # from an output of a segment to the next
        ("place_step", np.int64, 3),  # from the first sample that it reads to the first one of the next
        ("pair_step", np.int64, 3),  # from one of its samples to the next
        ("tap_step", np.int64, 3),  # from the tap of that to the next
        ("to_chunk", np.int64),  # factors of a chunk
    ]
)
"""What there is to sum up."""


@cache
def factor_kernel(KIND: int, PARTS: int, LANES: int, MOST: int, TAPS: int, CONJUGATED: int) -> Any:  # noqa: N803
    """Return the kernel that lays out the weight: for each chunk, tap and channel of the input, MOST vectors.

    Parameters
    ----------
    KIND, PARTS, LANES, MOST : int
        As for `channel_kernel`.
    TAPS : int
        Taps of a channel that are read at once, a power of two above 1.
    CONJUGATED : int
        1 if complex factors are conjugated, else 0.
    """
    WIDTH = MOST * LANES

    @Kernel
    def kernel(first, last, arguments, scratch):
        weight, factors, layouts, chunks, zero, turned = unpack(arguments, scratch)
        sizes = layouts[0]
        source, goal, square = pointer(weight, 0), pointer(factors, 0), pointer(turned, 0)
        taps, apart = sizes.kernel[0] * sizes.kernel[1] * sizes.kernel[2], sizes.weight_strides[2]
        to_tap = sizes.channels * PARTS * WIDTH
        for job in range(first, last):
            c, rest = job % sizes.channels, job // sizes.channels
            chunk, group = chunks[rest % chunks.size], rest // chunks.size
            begin = group * sizes.weight_strides[0] + c * sizes.weight_strides[1]
            for v in range(chunk.vectors):
                scalar = chunk.first + v * LANES
                for tap in range(0, taps, TAPS):
                    to = rest * sizes.to_chunk + tap * to_tap + c * PARTS * WIDTH + v * LANES
                    src, whole = begin + scalar * apart + tap, scalar + LANES <= sizes.height
                    if PARTS == 1 and whole and src + (LANES - 1) * apart + TAPS <= weight.size:
                        transpose(LANES, TAPS, source, src, apart, square, 0)
                        for k in range(min(TAPS, taps - tap)):
                            store(goal, to + k * to_tap, widen(KIND, load(LANES, square, k * LANES)))
                        continue
                    for k in range(min(TAPS, taps - tap)):
                        for of in range(PARTS):
                            for lane in range(LANES):
                                row, factor = scalar + lane, zero
                                if row < sizes.height:
                                    place = begin + row // PARTS * apart + tap + k
                                    factor = load_factor(KIND, PARTS, CONJUGATED, source, place, row % PARTS, of)
                                store_alone(goal, to + k * to_tap + of * WIDTH + lane, factor)

    return kernel


@inlined
def list_terms(PARTS, WIDTH, sizes, d, h, w, first, count, steps, factor_steps):  # noqa: N803
    """List some of the terms of the outputs of a region, in their order.

    Parameters
    ----------
    PARTS, WIDTH : int
        Scalars of an element; factors of a term in each chunk.
    sizes : record
        What there is.
    d, h, w : record
        The segment of each axis.
    first, count : int
        Which terms.
    steps, factor_steps : ndarray of int
        How far the sample of each lies from that of the first, and its factors from those of the first tap.
    """
    beside, n = w.pairs * PARTS, 0
    rest, begin = first // beside, first % beside
    above, c = rest // sizes.channels, rest % sizes.channels
    while n < count:
        a, b = above // h.pairs, above % h.pairs
        sample = (a * sizes.pair_step[0] * sizes.size_in[1] + b * sizes.pair_step[1]) * sizes.size_in[2]
        tap = (d.tap + a * sizes.tap_step[0]) * sizes.kernel[1] + h.tap + b * sizes.tap_step[1]
        sample, tap = sample * sizes.strides_in[2], (tap * sizes.kernel[2] + w.tap) * sizes.channels
        while c < sizes.channels and n < count:
            for i in range(begin, min(beside, begin + count - n)):
                k, of = i // PARTS, i % PARTS
                steps[n] = (sample + k * sizes.pair_step[2] * sizes.strides_in[2] + c) * PARTS + of
                factor_steps[n] = ((tap + k * sizes.tap_step[2] * sizes.channels + c) * PARTS + of) * WIDTH
                n += 1
            c, begin = c + 1, 0
        c, above = 0, above + 1


@inlined
def list_positions(PARTS, sizes, d, h, w, first, count, sources, goals):  # noqa: N803
    """List where some outputs of a region lie, and the first samples that they read.

    Parameters
    ----------
    PARTS : int
        Scalars of an element.
    sizes : record
        What there is.
    d, h, w : record
        The segment of each axis.
    first, count : int
        Which outputs of the region, in the order of the output.
    sources, goals : ndarray of int
        Where the samples, and the outputs, lie: the first of their scalars of the first channel.
    """
    rest, jw = first // w.count, first % w.count
    rest, jh = rest // h.count, rest % h.count
    image, jd = rest // d.count, rest % d.count
    for i in range(count):
        z, y, x = d.place + jd * sizes.place_step[0], h.place + jh * sizes.place_step[1], w.place
        sample = (z * sizes.size_in[1] + y) * sizes.size_in[2] + x + jw * sizes.place_step[2]
        sources[i] = (image * sizes.strides_in[0] + sample * sizes.strides_in[2]) * PARTS
        z, y, x = d.first + jd * sizes.output_step[0], h.first + jh * sizes.output_step[1], w.first
        output = (z * sizes.size_out[1] + y) * sizes.size_out[2] + x + jw * sizes.output_step[2]
        goals[i] = (image * sizes.strides_out[0] + output * sizes.strides_out[2]) * PARTS
        jw += 1
        if jw == w.count:
            jw, jh = 0, jh + 1
        if jh == h.count:
            jh, jd = 0, jd + 1
        if jd == d.count:
            jd, image = 0, image + 1


@cache
def channel_kernel(KIND: int, PARTS: int, LANES: int, ROWS: int, MOST: int, EACH: int) -> Any:  # noqa: N803
    """Return the kernel that forms the sums of neighbouring channels together.

    A region is one segment of each axis: all its outputs have terms with the same factors, so that blocks of them are
    multiplied at once, wherever they lie.

    Parameters
    ----------
    KIND, PARTS : int
        Kind of the stored scalars; scalars of an element, 2 for complex numbers.
    LANES, ROWS, MOST : int
        Numbers of a vector; positions of a block of sums; and the vectors that these have at most.
    EACH : int
        0 if every sample is multiplied by the factors of all channels of the output; 1 if each channel has samples of
        its own, and is a group by itself.
    """
    WIDTH = MOST * LANES

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, factors, bias, out, layouts, chunks, deep, high, wide, zero, sources, goals, steps, factor_steps, starts,
            sums,
        ) = unpack(arguments, scratch)  # fmt: skip
        sizes, goal, multipliers = layouts[0], pointer(out, 0), pointer(factors, 0)
        start, totals, none = pointer(starts, 0), pointer(sums, 0), splat(LANES, zero)
        for job in range(first, last):
            cut, rest = job % sizes.cuts, job // sizes.cuts
            chunk, group = chunks[rest % chunks.size], rest // chunks.size
            scalar = group * sizes.height + chunk.first
            for lane in range(WIDTH):
                biased = bias.size and chunk.first + lane < sizes.height
                starts[lane] = widen(KIND, bias[scalar + lane]) if biased else zero
            seen = pointer(x, group * sizes.channels * PARTS + chunk.first * EACH)
            for region in range(deep.size * high.size * wide.size):
                d, h, w = region // wide.size // high.size, region // wide.size % high.size, region % wide.size
                count = sizes.images * deep[d].count * high[h].count * wide[w].count
                begin, end = count * cut // sizes.cuts, count * (cut + 1) // sizes.cuts
                if begin == end:
                    continue
                n = deep[d].pairs * high[h].pairs * sizes.channels * wide[w].pairs * PARTS
                for p in range(begin, end, BLOCKS * ROWS):
                    there = min(BLOCKS * ROWS, end - p)
                    list_positions(PARTS, sizes, deep[d], high[h], wide[w], p, there, sources, goals)
                    for i in range(there, (there + ROWS - 1) // ROWS * ROWS):  # the last block is filled up
                        sources[i] = sources[there - 1]
                    for done in range(0, n, DEPTH):
                        terms = min(DEPTH, n - done)
                        if n > DEPTH or p == begin:
                            list_terms(PARTS, WIDTH, sizes, deep[d], high[h], wide[w], done, terms, steps, factor_steps)
                        for i in range(0, there, ROWS):
                            add_channels(
                                KIND, LANES, ROWS, MOST, EACH, chunk.vectors, terms, seen, pointer(sources, i),
                                pointer(steps, 0), multipliers, rest * sizes.to_chunk, pointer(factor_steps, 0),
                                pointer(sums, i * WIDTH) if done else start, WIDTH if done else 0, totals, i * WIDTH,
                            )  # fmt: skip
                    for i in range(there):
                        for v in range(0, chunk.vectors * LANES, LANES):
                            total = load(LANES, totals, i * WIDTH + v) if n else load(LANES, start, v)
                            # To add 0 leaves no -0.0 where all terms are zero, or where there are none.
                            result, to = narrow(KIND, add_product(KIND, none, none, total)), goals[i] + scalar + v
                            if chunk.first + v + LANES <= sizes.height:
                                store(goal, to, result)
                            else:
                                store_first(goal, to, result, sizes.height - chunk.first - v)

    return kernel
