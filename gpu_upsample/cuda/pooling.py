"""Runs max pooling on the GPU."""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.pooling_kernels import PoolSpec
from gpu_upsample.cuda.run import NARROW, queue
from gpu_upsample.plan.pooling import PoolStep

# A window along a row up to this length is unrolled.
_UNROLLED = 4
# Outputs of a thread at most.
_LANES = 4


def lanes_of_row(length: int, *arrays: Any) -> int:
    """Return how many neighbours of rows of this length a thread may store at once."""
    lanes = gcd(_LANES, length)
    for array in arrays:
        lanes = min(gcd(lanes, int(array.data.ptr) // array.itemsize), max(1, 16 // array.itemsize))
    return lanes


@lru_cache(maxsize=16)
def _nothing(device: int) -> memory.Tables:
    return memory.upload((np.zeros(1, np.int64),))


def _ends(step: PoolStep) -> list[int]:
    """Return where the last window of each axis ends, counted from the begin of the first."""
    axes = zip(step.size_out, step.kernel, step.stride, step.dilation, strict=True)
    return [(m - 1) * s + (k - 1) * d for m, k, s, d in axes]


def furthest_place(step: PoolStep) -> int:
    """Return the largest padded place that a kernel computes."""
    return max(end + p for end, p in zip(_ends(step), step.padding, strict=True))


def run_pool(step: PoolStep, x: Any, out: Any, indices: Any = None) -> None:
    """Find the largest sample of every window; the arrays are contiguous and of the step's carriers."""
    lanes = lanes_of_row(step.size_out[2], out)
    if indices is not None:  # positions are stored two at a time
        lanes = gcd(lanes, max(1, _LANES * (1 - int(indices.data.ptr) // 8 % 2)))
    edges = any(p or end >= n for end, p, n in zip(_ends(step), step.padding, step.size_in, strict=True))
    columns = step.kernel[2] if step.kernel[2] <= _UNROLLED else 0
    wide = max(x.size, out.size + THREADS * lanes, furthest_place(step)) >= NARROW
    numbered = step.numbering is not None
    spec = PoolSpec(step.storage.name, indices is not None, columns, edges, lanes, wide, numbered)
    device = x.device.id
    where = _nothing(device).addresses[0] if indices is None else int(indices.data.ptr)  # or nothing is written there
    arguments = (
        int(x.data.ptr), int(out.data.ptr), where, out.size, *step.size_in, *step.size_out, *step.kernel, *step.stride,
        *step.padding, *step.dilation, *(step.numbering or (0, 0, 0, 0)),
    )  # fmt: skip
    queue(spec, out.size // lanes, device, arguments)
