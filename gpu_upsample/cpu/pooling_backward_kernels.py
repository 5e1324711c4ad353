"""The CPU kernels of the gradients of max pooling and unpooling (see `cpu/arithmetic.py`)."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import narrow, widen
from gpu_upsample.cpu.compiled import Kernel, compiled
from gpu_upsample.cpu.pooling_kernels import taps_inside
from gpu_upsample.cpu.vectors import count_within


@cache
def windows_kernel(LANES: int) -> Any:  # noqa: N803
    """Return the kernel that finds out whether an index lies astray, and not in its own window.

    Nothing is divided: an index is compared with the rows of its window in turn, and lies in one of them at most. So
    all do if there are as many hits as windows.

    Parameters
    ----------
    LANES : int
        How many neighbours are looked at together, at most as many as a row has; 0 where windows have gaps along it.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        where, astray, size_in, size_out, taps, strides, padding, dilation, low, span = unpack(arguments, scratch)
        depth, height, width = size_in
        gap, windows = dilation[2], size_out[2]
        for r in range(first, last):
            rest = r // size_out[1]
            z = rest % size_out[0] * strides[0] - padding[0]
            y = (r - rest * size_out[1]) * strides[1] - padding[1]
            z_first, z_last = taps_inside(z, depth, taps[0], dilation[0])
            y_first, y_last = taps_inside(y, height, taps[1], dilation[1])
            hits = 0
            for j in range(0, windows, LANES if LANES else 1):
                at = r * windows + (min(j, windows - LANES) if LANES else j)
                for tap_z in range(z_first, z_last):
                    for tap_y in range(y_first, y_last):
                        begin = ((z + tap_z * dilation[0]) * height + y + tap_y * dilation[1]) * width
                        if LANES:
                            hits += count_within(LANES, where, at, low, span, j, begin)
                        else:
                            offset = where[at] - low[j] - begin
                            hits += (0 <= offset < span[j]) & (offset % gap == 0)
            if hits < windows:
                astray[0] = True
                return

    return kernel


@compiled
def windows_that_reach(low, high, axis):
    """Return the first window that may reach samples of an axis, from `low` up to `high`, and the one after the last.

    An axis is the number of its windows, their stride, the padding, and how far the last tap lies from the first.
    """
    n, stride, padding, reach = axis
    return max(0, (low + padding - reach + stride - 1) // stride), min(n, (high - 1 + padding) // stride + 1)


@cache
def pool_backward_kernel(KIND: int, HALF: int) -> Any:  # noqa: N803
    """Return the kernel that adds up the gradients of the windows that chose each sample, for parts of planes.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalar.
    HALF : int
        Whether sums are formed in a wider one, apart from the result.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        grad, where, out, cuts, size_in, size_out, deep, high, zero, room = unpack(arguments, scratch)
        depth, height, width = size_in
        for job in range(first, last):
            plane = job // cuts
            cut = job - plane * cuts
            begin, end = depth * height * cut // cuts, depth * height * (cut + 1) // cuts
            d, d_last = begin // height, (end - 1) // height
            target = out[(plane * depth * height + begin) * width : (plane * depth * height + end) * width]
            sums = room[: target.size] if HALF else target
            sums[:] = zero
            y_first, y_last = 0, size_out[1]
            if d == d_last:
                y_first, y_last = windows_that_reach(begin - d * height, end - d * height, high)
            z_first, z_last = windows_that_reach(d, d_last + 1, deep)
            for z in range(plane * size_out[0] + z_first, plane * size_out[0] + z_last):
                for i in range((z * size_out[1] + y_first) * size_out[2], (z * size_out[1] + y_last) * size_out[2]):
                    place = where[i] - begin * width
                    if 0 <= place < sums.size:
                        sums[place] += widen(KIND, grad[i])
            if HALF:
                for i in range(target.size):
                    target[i] = narrow(KIND, sums[i])

    return kernel


@cache
def unpool_backward_kernel(PARTS: int) -> Any:  # noqa: N803
    """Return the kernel that fetches the gradients of the samples that were put into parts of planes.

    Parameters
    ----------
    PARTS : int
        How many words make a sample.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        grad, indices, out, cuts, taken, n_in, n_out = unpack(arguments, scratch)
        for job in range(first, last):
            plane = job // cuts
            cut = job - plane * cuts
            low, high = n_out * cut // cuts, n_out * (cut + 1) // cuts
            taken[:] = False
            # From the last sample on: the first that names a place is the one that stayed there.
            for i in range((plane + 1) * n_in - 1, plane * n_in - 1, -1):
                index = indices[i]
                if low <= index < high:
                    for part in range(PARTS):
                        if taken[index - low]:
                            out[i * PARTS + part] = 0
                        else:
                            out[i * PARTS + part] = grad[(plane * n_out + index) * PARTS + part]
                    taken[index - low] = True

    return kernel
