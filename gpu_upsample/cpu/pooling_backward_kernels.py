"""The CPU kernels of the gradients of max pooling and unpooling (see `cpu/arithmetic.py`)."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import fma, narrow, widen
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.pooling_kernels import taps_inside


@cache
def windows_kernel(DILATED: int) -> Any:  # noqa: N803
    """Return the kernel that finds out whether an index lies astray, and not in its own window.

    Nothing is divided: an index is compared with the rows of its window in turn, and lies in one of them at most. So
    all do if there are as many hits as windows.

    Parameters
    ----------
    DILATED : int
        Whether the windows have gaps along a row.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        where, astray, size_in, size_out, taps, strides, padding, dilation, start, end = unpack(arguments, scratch)
        depth, height, width = size_in
        for r in range(first, last):
            rest = r // size_out[1]
            z = rest % size_out[0] * strides[0] - padding[0]
            y = (r - rest * size_out[1]) * strides[1] - padding[1]
            z_first, z_last = taps_inside(z, depth, taps[0], dilation[0])
            y_first, y_last = taps_inside(y, height, taps[1], dilation[1])
            hits = 0
            for tap_z in range(z_first, z_last):
                for tap_y in range(y_first, y_last):
                    begin = ((z + tap_z * dilation[0]) * height + y + tap_y * dilation[1]) * width
                    for j in range(size_out[2]):
                        place = where[r, j] - begin
                        hit = (place >= max(0, start[j])) & (place <= end[j])
                        if DILATED:
                            hit &= (place - start[j]) % dilation[2] == 0
                        hits += hit
            if hits < size_out[2]:
                astray[0] = True
                return

    return kernel


@cache
def pool_backward_kernel(KIND: int) -> Any:  # noqa: N803
    """Return the kernel that adds up the gradients of the windows that chose each sample of a row.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalar.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        grad, where, out, size_out, deep, high, zero, one, line = unpack(arguments, scratch)
        deep_first, deep_count, deep_step = deep
        high_first, high_count, high_step = high
        width, windows = out.shape[1], size_out[2]
        for r in range(first, last):
            above = r // high_count.size
            h = r - above * high_count.size
            plane = above // deep_count.size
            d = above - plane * deep_count.size
            begin = (d * high_count.size + h) * width
            for j in range(line.size):
                line[j] = zero
            for a in range(deep_count[d]):
                level = plane * size_out[0] + deep_first[d] + a * deep_step
                for b in range(high_count[h]):
                    row = level * size_out[1] + high_first[h] + b * high_step
                    values, places = grad[row], where[row]
                    for w in range(windows):
                        place = places[w] - begin
                        # Behind the row, every window has a place for a choice in another row: no branch to mispredict.
                        at = place if 0 <= place < width else width + w
                        line[at] = fma(one, widen(KIND, values[w]), line[at])
            target = out[r]
            for j in range(width):
                target[j] = narrow(KIND, line[j])

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
