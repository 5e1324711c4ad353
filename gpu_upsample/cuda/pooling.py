"""Runs max pooling and unpooling on the GPU."""

from __future__ import annotations

from collections.abc import Iterator
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


def lanes_of_row(length: int, *arrays: Any) -> int:
    """Return how many neighbours of rows of this length a thread may store at once."""
    lanes = gcd(_LANES, length)
    for array in arrays:
        lanes = min(gcd(lanes, int(array.data.ptr) // array.itemsize), max(1, 16 // array.itemsize))
    return lanes


def queue(spec: Any, threads: int, arguments: tuple[Any, ...], device: int) -> None:
    """Queue a kernel for that many threads at least."""
    stream = memory.cupy().cuda.get_current_stream()
    launch.launch(spec, device, int(stream.ptr), -(-threads // THREADS), arguments)


# ---- pooling ------------------------------------------------------------------------------------------------
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
    """Find the largest sample of every window; the arrays are flat and of the step's carriers."""
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
    queue(spec, out.size // lanes, arguments, device)


# ---- unpooling ----------------------------------------------------------------------------------------------
def check_indices(step: UnpoolStep, indices: Any) -> None:
    """Wait for the indices if the step says so, and raise if one is out of range."""
    if not step.validate:
        return
    bad = ((indices < 0) | (indices >= step.n_out)).nonzero()[0]
    if bad.size:
        position = int(bad[0])
        raise index_error(step, position, int(indices[position]))


def elections(step: UnpoolStep, indices: Any) -> Iterator[tuple[slice, slice, Any, bool]]:
    """Let the samples of some planes after others vote for themselves.

    Yields
    ------
    sources, places : slice
        The samples that voted, and the places that they voted for.
    votes : array
        What `build_vote` left for each of these places.
    wide : bool
        Whether flat indices need 64 bits.
    """
    n_in, n_out, device = step.n_in, step.n_out, indices.device.id
    planes = min(step.planes, max(1, _VOTE_BYTES // (4 * n_out)))
    wide = planes * max(n_in, n_out) * step.parts + THREADS * _LANES >= NARROW
    winners = memory.held(memory.cupy().empty((planes * n_out,), "uint64" if wide else "uint32"))
    for first in range(0, step.planes, planes):
        last = min(first + planes, step.planes)
        sources, places = slice(first * n_in, last * n_in), slice(first * n_out, last * n_out)
        chosen, votes = indices[sources], winners[: (last - first) * n_out]
        votes.fill(0)
        arguments = (int(chosen.data.ptr), int(votes.data.ptr), flags.address(device), chosen.size, n_in, n_out)
        queue(VoteSpec(str(indices.dtype), wide), chosen.size, arguments, device)
        yield sources, places, votes, wide


def run_unpool(step: UnpoolStep, x: Any, indices: Any, out: Any) -> None:
    """Put samples where their indices say, into zeros; `x` and `out` are flat and of the step's carrier."""
    check_indices(step, indices)
    bits = np.dtype(f"u{step.storage.itemsize}")
    x, out = (array.view(bits).reshape(-1, step.parts) for array in (x, out))
    for sources, places, votes, wide in elections(step, indices):
        source, target = x[sources], out[places]
        lanes = lanes_of_row(target.size, target, votes)
        pointers = (int(array.data.ptr) for array in (source, target, votes))
        spec = FetchSpec(step.storage.itemsize, step.parts, lanes, wide)
        queue(spec, target.size // lanes, (*pointers, target.size), out.device.id)
