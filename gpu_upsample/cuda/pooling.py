"""Runs max pooling and unpooling on the GPU."""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np

from gpu_upsample.cuda import flags, launch, memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.pooling_kernels import FetchSpec, PoolSpec, VoteSpec
from gpu_upsample.cuda.run import NARROW
from gpu_upsample.plan.pooling import PoolStep, UnpoolStep, index_error

# A window along a row up to this length is unrolled.
_UNROLLED = 4
# Outputs of a thread at most.
_LANES = 4
# Bytes of votes at a time, unless one plane needs more: they should stay in the L2 cache until they are counted.
_VOTE_BYTES = 1 << 25

_pinned: list[Any] = []


def _lanes(length: int, *arrays: Any) -> int:
    """Return how many neighbours of rows of this length a thread may store at once."""
    lanes = gcd(_LANES, length)
    for array in arrays:
        lanes = min(gcd(lanes, int(array.data.ptr) // array.itemsize), max(1, 16 // array.itemsize))
    return lanes


def _queue(spec: Any, threads: int, arguments: tuple[Any, ...], device: int) -> None:
    stream = memory.cupy().cuda.get_current_stream()
    launch.launch(spec, device, int(stream.ptr), -(-threads // THREADS), arguments)


# ---- pooling ------------------------------------------------------------------------------------------------
@lru_cache(maxsize=16)
def _nothing(device: int) -> memory.Tables:
    return memory.upload((np.zeros(1, np.int64),))


def _beyond(step: PoolStep) -> tuple[bool, int]:
    """Return whether a window reaches beyond the array, and the largest padded place that a kernel computes."""
    axes = zip(
        step.size_in, step.size_out, step.kernel, step.stride, step.padding, step.dilation, strict=True
    )  # fmt: skip
    last = [(n, (m - 1) * s + (k - 1) * d, p) for n, m, k, s, p, d in axes]
    return any(p or end >= n for n, end, p in last), max(end + p for _, end, p in last)


def run_pool(step: PoolStep, x: Any, out: Any, indices: Any = None) -> None:
    """Find the largest sample of every window; the arrays are flat and of the step's carriers."""
    lanes = _lanes(step.size_out[2], out)
    if indices is not None:  # positions are stored two at a time
        lanes = gcd(lanes, max(1, _LANES * (1 - int(indices.data.ptr) // 8 % 2)))
    edges, furthest = _beyond(step)
    columns = step.kernel[2] if step.kernel[2] <= _UNROLLED else 0
    wide = max(x.size, out.size + THREADS * lanes, furthest) >= NARROW
    spec = PoolSpec(step.storage.name, indices is not None, columns, edges, lanes, wide)
    device, stream = x.device.id, memory.cupy().cuda.get_current_stream()
    where = _nothing(device).pointers(stream)[0] if indices is None else int(indices.data.ptr)
    arguments = (
        int(x.data.ptr), int(out.data.ptr), where, out.size, *step.size_in, *step.size_out, *step.kernel, *step.stride,
        *step.padding, *step.dilation,
    )  # fmt: skip
    _queue(spec, out.size // lanes, arguments, device)


# ---- unpooling ----------------------------------------------------------------------------------------------
def _check(step: UnpoolStep, indices: Any) -> None:
    """Wait for the indices, and raise if one is out of range."""
    bad = ((indices < 0) | (indices >= step.n_out)).nonzero()[0]
    if bad.size:
        position = int(bad[0])
        raise index_error(step, position, int(indices[position]))


def run_unpool(step: UnpoolStep, x: Any, indices: Any, out: Any) -> None:
    """Put samples where their indices say, into zeros; `x` and `out` are flat and of the step's carrier."""
    if step.validate:
        _check(step, indices)
    bits = np.dtype(f"u{step.storage.itemsize}")
    x, out, device = x.view(bits), out.view(bits), x.device.id
    n_in, n_out, parts = step.n_in, step.n_out, step.parts
    planes = min(step.planes, max(1, _VOTE_BYTES // (4 * n_out)))
    wide = max(planes * n_in * parts, planes * n_out * parts) + THREADS * _LANES >= NARROW
    winners = memory.cupy().empty((planes * n_out,), "uint64" if wide else "uint32")
    if memory.cupy().cuda.get_current_stream().is_capturing():
        _pinned.append(winners)  # a captured graph keeps the address
    flag = flags.address(device)
    for first in range(0, step.planes, planes):
        count = min(planes, step.planes - first)
        source = x[first * n_in * parts : (first + count) * n_in * parts]
        chosen = indices[first * n_in : (first + count) * n_in]
        target = out[first * n_out * parts : (first + count) * n_out * parts]
        votes = winners[: count * n_out]
        votes.fill(0)
        arguments = (int(chosen.data.ptr), int(votes.data.ptr), flag, chosen.size, n_in, n_out)
        _queue(VoteSpec(str(indices.dtype), wide), chosen.size, arguments, device)
        lanes = _lanes(target.size, target, votes)
        pointers = (int(source.data.ptr), int(target.data.ptr), int(votes.data.ptr))
        spec = FetchSpec(step.storage.itemsize, parts, lanes, wide)
        _queue(spec, target.size // lanes, (*pointers, target.size), device)
