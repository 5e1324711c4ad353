"""Runs max pooling on the GPU."""

from __future__ import annotations

from functools import lru_cache
from math import gcd, prod

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.pooling_kernels import PoolSpec
from gpu_upsample.cuda.run import ACCESS, NARROW, Launch, runner
from gpu_upsample.plan.pooling import PoolStep

# The longest window along a row that is unrolled.
_MAX_UNROLLED_TAPS = 4
# Outputs of a thread at most.
_MAX_LANES = 4


def lanes_of_row(length: int, *places: tuple[int, int]) -> int:
    """Return how many neighbours of rows of this length a thread may store at once.

    `places` are the addresses of the arrays, modulo `ACCESS`, and the bytes of their items.
    """
    lanes = gcd(_MAX_LANES, length)
    for address, itemsize in places:
        lanes = min(gcd(lanes, address // itemsize), max(1, ACCESS // itemsize))
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


def _pool_launch(step: PoolStep, device: int, x: int, out: int, indices: int | None = None) -> Launch:
    """Return the launch that finds the largest sample of every window."""
    lanes = lanes_of_row(step.size_out[2], (out, step.storage.itemsize))
    if indices is not None:  # positions are stored two at a time
        lanes = gcd(lanes, max(1, _MAX_LANES * (1 - indices // 8 % 2)))
    edges = any(p or end >= n for end, p, n in zip(_ends(step), step.padding, step.size_in, strict=True))
    columns = step.kernel[2] if step.kernel[2] <= _MAX_UNROLLED_TAPS else 0
    size = step.planes * prod(step.size_out)
    wide = max(step.planes * prod(step.size_in), size + THREADS * lanes, furthest_place(step)) >= NARROW
    numbered = step.numbering is not None
    spec = PoolSpec(step.storage.name, indices is not None, columns, edges, lanes, wide, numbered)
    nowhere = () if indices is not None else _nothing(device).addresses  # nothing is written there
    arguments = (
        *nowhere, size, *step.size_in, *step.size_out, *step.kernel, *step.stride, *step.padding, *step.dilation,
        *(step.numbering or (0, 0, 0, 0)),
    )  # fmt: skip
    return Launch(spec, size // lanes, arguments)


run_pool = runner(_pool_launch)
