"""The CPU kernels that move samples about."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import fma, narrow, widen
from gpu_upsample.cpu.compiled import Kernel

UNROLLED = 4
"""The largest factor or stride that gets a loop of its own; larger ones share one with a run-time factor."""


@cache
def shuffle_kernel(FACTOR: int, WORDS: int, ENLARGE: int) -> Any:  # noqa: N803
    """Return the kernel that moves pixels between one large row and its small ones.

    Parameters
    ----------
    FACTOR : int
        Small rows of a large one, 0 for a run-time number.
    WORDS : int
        Words of a pixel.
    ENLARGE : int
        1 if small rows become large ones, 0 for the reverse.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        small, large, rows, factor, apart, plane_rows = unpack(arguments, scratch)
        width = small.shape[1] // WORDS
        for r in range(first, last):
            plane = r // rows.size
            begin = plane * plane_rows + rows[r - plane * rows.size]
            long = large[r]
            if FACTOR:  # all small rows at once: whole vectors are interleaved
                for j in range(width):
                    for q in range(FACTOR):
                        for word in range(WORDS):
                            if ENLARGE:
                                long[(j * FACTOR + q) * WORDS + word] = small[begin + q * apart, j * WORDS + word]
                            else:
                                small[begin + q * apart, j * WORDS + word] = long[(j * FACTOR + q) * WORDS + word]
            else:
                for q in range(factor):
                    short = small[begin + q * apart]
                    for j in range(width):
                        for word in range(WORDS):
                            if ENLARGE:
                                long[(j * factor + q) * WORDS + word] = short[j * WORDS + word]
                            else:
                                short[j * WORDS + word] = long[(j * factor + q) * WORDS + word]

    return kernel


@cache
def unfold_kernel(STRIDE: int, WORDS: int) -> Any:  # noqa: N803
    """Return the kernel that copies the samples under one tap.

    Parameters
    ----------
    STRIDE : int
        Distance of the windows, 0 for a run-time number.
    WORDS : int
        Words of a sample.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        x, out, rows, shift, inside, stride, rows_in = unpack(arguments, scratch)
        step = STRIDE if STRIDE else stride
        width = out.shape[1]
        for r in range(first, last):
            plane = r // rows.size
            o = r - plane * rows.size
            target = out[r]
            if rows[o] < 0:
                for j in range(width):
                    target[j] = 0
                continue
            src = x[plane * rows_in + rows[o]]
            begin, end = inside[o, 0], inside[o, 1]
            for j in range(begin * WORDS):
                target[j] = 0
            for w in range(begin, end):
                at = (shift[o] + w * step) * WORDS
                for word in range(WORDS):
                    target[w * WORDS + word] = src[at + word]
            for j in range(end * WORDS, width):
                target[j] = 0

    return kernel


@cache
def fold_kernel(SOURCE: int, RESULT: int, BIAS: int, STRIDE: int, PARTS: int) -> Any:  # noqa: N803
    """Return the kernel that adds up the columns that reach a row of samples.

    Parameters
    ----------
    SOURCE, RESULT : int
        Kinds of the stored scalars.
    BIAS : int
        Kind of the bias, -1 where there is none.
    STRIDE : int
        Distance of the windows along a row, 0 for a run-time number.
    PARTS : int
        Scalars of an element.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            columns, bias, out, channels, deep, high, wide_step, wide_span, wide_shift, start, zero, one, line,
        ) = unpack(arguments, scratch)  # fmt: skip
        deep_window, deep_tap, deep_count, _, deep_taps, deep_window_step, deep_tap_step = deep
        high_window, high_tap, high_count, high_windows, high_taps, high_window_step, high_tap_step = high
        width = out.shape[1]
        step = STRIDE if STRIDE else wide_step
        taps = wide_shift.size
        for r in range(first, last):
            above = r // high_count.size
            h = r - above * high_count.size
            image = above // deep_count.size
            d = above - image * deep_count.size
            if deep_count[d] * high_count[h] > 0:
                for j in range(width):
                    line[j] = start[j]
            else:
                for j in range(width):
                    line[j] = zero
            for a in range(deep_count[d]):
                tap_d = deep_tap[d] + a * deep_tap_step
                window_d = deep_window[d] - a * deep_window_step
                for b in range(high_count[h]):
                    tap_h = high_tap[h] + b * high_tap_step
                    window_h = high_window[h] - b * high_window_step
                    tap = ((image * deep_taps + tap_d) * high_taps + tap_h) * taps
                    for k in range(taps):
                        # Window by window, one tap of the row at a time: for each sample ascending by tap.
                        column = columns[tap + k, window_d * high_windows + window_h]
                        for w in range(wide_span[k, 0], wide_span[k, 1]):
                            to = (wide_shift[k] + w * step) * PARTS
                            for part in range(PARTS):
                                value = widen(SOURCE, column[w * PARTS + part])
                                line[to + part] = fma(one, value, line[to + part])
            if BIAS >= 0:
                channel = image % channels
                for j in range(0, width, PARTS):
                    for part in range(PARTS):
                        value = widen(BIAS, bias[channel * PARTS + part])
                        line[j + part] = fma(one, value, line[j + part])
            target = out[r]
            for j in range(width):
                target[j] = narrow(RESULT, line[j])

    return kernel
