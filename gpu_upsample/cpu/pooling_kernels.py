"""The CPU kernels of max pooling and unpooling (see `cpu/arithmetic.py`)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import widen
from gpu_upsample.cpu.compiled import Kernel, compiled

KERNELS, STRIDES = (2, 3), (1, 2)
"""The lengths of windows along a row and their strides that get a loop of their own."""

WINDOWS = 4
"""The longest windows along a row that are filled each from its own sample."""


@compiled
def taps_inside(begin, n, taps, dilation):
    """Return the first tap of a window that lies inside an axis, and the one after the last."""
    return max(0, (dilation - 1 - begin) // dilation), min(taps, (n - 1 - begin) // dilation + 1)


@cache
def pool_kernel(KIND: int, HALF: int, FLOAT: int, INDICES: int, KERNEL: int, STRIDE: int) -> Any:  # noqa: N803
    """Return the kernel for the largest samples of windows.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalar.
    HALF, FLOAT : int
        Whether samples must be widened to be compared, and whether they may be NaN.
    INDICES : int
        1 if positions are written, too, and 2 if they are numbered otherwise than flat within their plane.
    KERNEL, STRIDE : int
        Length and stride of the windows along a row if the loop over them is to be unrolled, else 0.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, out, where, size_in, size_out, taps, strides, padding, dilation, numbering, start, lowest,
        ) = unpack(arguments, scratch)  # fmt: skip
        depth, height, width = size_in
        width_out = size_out[2]
        step = STRIDE if STRIDE else strides[2]
        # Outputs whose windows lie inside a row: these take all taps at once.
        low = min(width_out, (padding[2] + step - 1) // step)
        room = width - 1 + padding[2] - (taps[2] - 1) * dilation[2]
        high = max(low, min(width_out, room // step + 1)) if KERNEL and room >= 0 else low
        for r in range(first, last):
            rest = r // size_out[1]
            plane = rest // size_out[0]
            z = (rest - plane * size_out[0]) * strides[0] - padding[0]
            y = (r - rest * size_out[1]) * strides[1] - padding[1]
            z_first, z_last = taps_inside(z, depth, taps[0], dilation[0])
            y_first, y_last = taps_inside(y, height, taps[1], dilation[1])
            target = out[r]
            corner = (z + z_first * dilation[0]) * height + y + y_first * dilation[1]
            for j in range(width_out):
                target[j] = lowest
            if INDICES:
                place = where[r]
                for j in range(width_out):
                    place[j] = corner * width + start[j]
            for tap_z in range(z_first, z_last):
                for tap_y in range(y_first, y_last):
                    row = (z + tap_z * dilation[0]) * height + y + tap_y * dilation[1]
                    source = x[plane * depth * height + row]
                    begin = row * width
                    for k in range(taps[2]):
                        offset = k * dilation[2] - padding[2]
                        top = min(width_out, (width - 1 - offset) // step + 1) if offset < width else 0
                        for side in range(2):
                            for j in range(
                                high if side else max(0, (step - 1 - offset) // step),
                                top if side else min(low, top),
                            ):
                                value = source[j * step + offset]
                                if HALF:
                                    better = widen(KIND, value) > widen(KIND, target[j])
                                    better |= widen(KIND, value) != widen(KIND, value)
                                else:
                                    better = value > target[j]
                                    if FLOAT:
                                        better |= value != value
                                target[j] = value if better else target[j]
                                if INDICES:
                                    place[j] = begin + j * step + offset if better else place[j]
                    if KERNEL:
                        for j in range(low, high):
                            best = target[j]
                            at = place[j] if INDICES else 0
                            for k in range(KERNEL):
                                column = j * step + k * dilation[2] - padding[2]
                                value = source[column]
                                if HALF:
                                    better = widen(KIND, value) > widen(KIND, best)
                                    better |= widen(KIND, value) != widen(KIND, value)
                                else:
                                    better = value > best
                                    if FLOAT:
                                        better |= value != value
                                best = value if better else best
                                if INDICES:
                                    at = begin + column if better else at
                            target[j] = best
                            if INDICES:
                                place[j] = at
            if INDICES == 2:
                for j in range(width_out):
                    line = place[j] // width
                    level = line // height
                    row = level * numbering[1] + (line - level * height) * numbering[2]
                    place[j] = plane * numbering[0] + row + (place[j] - line * width) * numbering[3]

    return kernel


@Kernel
def range_kernel(first, last, arguments, scratch):
    """Find out whether an index is out of range."""
    indices, astray, n_out = unpack(arguments, scratch)
    signs = np.int64(0)
    for i in range(first, last):
        signs |= indices[i] | (n_out - 1 - indices[i])  # negative if either is
    if signs < 0:
        astray[0] = True


@cache
def unpool_kernel(PARTS: int) -> Any:  # noqa: N803
    """Return the kernel that fills parts of planes; one serves every type of the same size.

    Parameters
    ----------
    PARTS : int
        How many words make a sample.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        x, indices, out, cuts, n_in, n_out = unpack(arguments, scratch)
        for job in range(first, last):
            plane = job // cuts
            cut = job - plane * cuts
            low, high = n_out * cut // cuts, n_out * (cut + 1) // cuts
            target = out[plane * n_out * PARTS : (plane + 1) * n_out * PARTS]
            target[low * PARTS : high * PARTS] = 0
            for i in range(plane * n_in, (plane + 1) * n_in):
                index = indices[i]
                if low <= index < high:
                    for part in range(PARTS):
                        target[index * PARTS + part] = x[i * PARTS + part]

    return kernel


@cache
def own_windows_kernel(KERNEL: int, PARTS: int) -> Any:  # noqa: N803
    """Return the kernel that fills windows that tile the output, each from its own sample, if no index lies astray.

    Parameters
    ----------
    KERNEL : int
        Length of the windows along a row.
    PARTS : int
        How many words make a sample.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        x, indices, out, astray, depth, height, deep, high = unpack(arguments, scratch)
        width = out.shape[1] // (KERNEL * PARTS)
        found = np.int64(0)
        for row in range(first, last):
            above, y = row // height, row % height
            plane, z = above // depth, above % depth
            samples, places = x[row], indices[row]
            for line in range(deep * high):
                place = ((z * deep + line // high) * height + y) * high + line % high
                begin = place * width * KERNEL
                target = out[plane * depth * deep * height * high + place]
                for j in range(width):
                    for k in range(KERNEL):
                        own = np.int64(places[j] == begin + j * KERNEL + k)
                        found += own
                        for part in range(PARTS):  # the bits of the sample, or none
                            target[(j * KERNEL + k) * PARTS + part] = samples[j * PARTS + part] & -own
        if found < (last - first) * width:
            astray[0] = True

    return kernel
