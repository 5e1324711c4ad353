"""The CPU kernel of max pooling (see `cpu/arithmetic.py`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import widen
from gpu_upsample.cpu.compiled import Kernel, compiled, inlined
from gpu_upsample.cpu.rows import readable
from gpu_upsample.cpu.vectors import copy, exceeds, load, load_apart, load_within, pointer, splat, store, where


@compiled
def taps_inside(begin, n, taps, dilation):
    """Return the first tap of a window that lies inside an axis, and the one after the last."""
    return max(0, (dilation - 1 - begin) // dilation), min(taps, (n - 1 - begin) // dilation + 1)


@inlined
def ordered(KIND, HALF, samples):  # noqa: N803
    """Return samples as they are compared; the parameters are those of `pool_kernel`."""
    if HALF:
        return widen(KIND, samples)
    return samples


@cache
def pool_kernel(KIND: int, HALF: int, LANES: int, KERNEL: int, STEP: int, INDICES: int, WIDE: int) -> Any:  # noqa: N803
    """Return the kernel for the largest samples of windows.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalar.
    HALF : int
        Whether samples must be widened to be compared.
    LANES : int
        Windows of a vector.
    KERNEL : int
        Taps along a row, 0 for a run-time number.
    STEP : int
        Stride along a row if it is small, else 0: samples are brought together one by one then.
    INDICES : int
        1 if positions are written, too, and 2 if they are numbered otherwise than flat within their plane.
    WIDE : int
        Whether the samples of a window may lie so far apart that it takes 64 bits to tell how far.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, out, places, size_in, size_out, taps, strides, padding, dilation, numbering, start, lowest,
            room, padded, line_room, best_room, away_room,
        ) = unpack(arguments, scratch)  # fmt: skip
        depth, height, width = size_in
        width_out, step = size_out[2], strides[2]
        data, first_tap, line = pointer(x, 0), pointer(start, 0), pointer(line_room, 0)
        best_line, away_line = pointer(best_room, 0), pointer(away_room, 0)
        if padded:
            line_room[:] = lowest  # of which samples will take the middle
        for r in range(first, last):
            rest = r // size_out[1]
            plane = rest // size_out[0]
            z = (rest - plane * size_out[0]) * strides[0] - padding[0]
            y = (r - rest * size_out[1]) * strides[1] - padding[1]
            z_first, z_last = taps_inside(z, depth, taps[0], dilation[0])
            y_first, y_last = taps_inside(y, height, taps[1], dilation[1])
            corner = (z + z_first * dilation[0]) * height + y + y_first * dilation[1]
            for j in range(0, width_out, LANES):
                store(best_line, j, splat(LANES, lowest))
                if INDICES:
                    store(away_line, j, load(LANES, first_tap, j))
            for tap_z in range(z_first, z_last):
                for tap_y in range(y_first, y_last):
                    row = (z + tap_z * dilation[0]) * height + y + tap_y * dilation[1]
                    src = (plane * depth * height + row) * width
                    samples = line
                    if STEP == 0:
                        samples = pointer(data, src)
                    elif padded:
                        copy(line, padding[2], data, src, width)
                    else:
                        samples = readable(data, x.size, src, width, room, line)
                    for j in range(0, width_out, LANES):
                        best = load(LANES, best_line, j)
                        highest = ordered(KIND, HALF, best)
                        if INDICES:
                            away = load(LANES, away_line, j)
                        for k in range(KERNEL if KERNEL else taps[2]):
                            at = j * step + k * dilation[2]
                            if STEP:
                                value = load_apart(LANES, STEP, samples, at)
                            else:
                                value = load_within(LANES, samples, at - padding[2], step, width, lowest)
                            new = ordered(KIND, HALF, value)
                            better = exceeds(new, highest)
                            best, highest = where(better, value, best), where(better, new, highest)
                            if INDICES:
                                distance = (row - corner) * width + k * dilation[2]
                                far = np.int64(distance) if WIDE else np.int32(distance)
                                away = where(better, splat(LANES, far), away)
                        store(best_line, j, best)
                        if INDICES:
                            store(away_line, j, away)
            copy(pointer(out, 0), r * width_out, best_line, 0, width_out)
            if INDICES:
                target, origin = places[r], corner * width - padding[2]
                for j in range(width_out):
                    target[j] = origin + j * step + away_room[j]
                if INDICES == 2:
                    for j in range(width_out):
                        above = target[j] // width
                        level = above // height
                        number = level * numbering[1] + (above - level * height) * numbering[2]
                        target[j] = plane * numbering[0] + number + (target[j] - above * width) * numbering[3]

    return kernel
