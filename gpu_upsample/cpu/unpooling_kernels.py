"""The CPU kernels of max unpooling."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.compiled import Kernel

WINDOWS = 4
"""The longest windows along a row that are filled each from its own sample."""


CHECKED = 1 << 12
"""How many indices are a row of `range_kernel`."""


@Kernel
def range_kernel(first, last, arguments, scratch):
    """Find out whether an index is out of range."""
    indices, astray, n_out = unpack(arguments, scratch)
    signs = np.int64(0)
    for i in range(first * CHECKED, min(last * CHECKED, indices.size)):
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
