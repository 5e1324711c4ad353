"""Runs max unpooling on the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Any

import numpy as np

from gpu_upsample.cuda import flags, memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.pooling import lanes_of_row
from gpu_upsample.cuda.run import ACCESS, NARROW, Launch
from gpu_upsample.cuda.unpooling_kernels import SOURCES, FetchSpec, FillSpec, PlaceSpec, VoteSpec
from gpu_upsample.plan.pooling import UnpoolStep, index_error

# Bytes of votes at a time, unless one plane needs more: they should stay in the L2 cache until they are counted.
_VOTE_BYTES = 1 << 25
# The same where windows tile the output, and hardly ever need votes: more take memory, and fewer, more launches of the
# two kernels that count them.
_STRAY_BYTES = 1 << 26
# Samples that a thread fills in a row, and rows of a window, at most: larger windows are left to votes.
_MAX_FILLED, _MAX_WINDOW_ROWS = 4, 64


def check_indices(step: UnpoolStep, indices: Any) -> None:
    """Wait for the indices if the step says so, and raise if one is out of range."""
    if not step.validate:
        return
    bad = ((indices < 0) | (indices >= step.n_out)).nonzero()[0]
    if bad.size:
        position = int(bad[0])
        raise index_error(step, position, int(indices[position]))


def _batches(step: UnpoolStep, size: int) -> Iterator[tuple[slice, slice, Any, bool]]:
    """Yield the sources and the places of some planes after others, memory for votes of that size, and its width."""
    n_in, n_out = step.n_in, step.n_out
    planes = min(step.planes, max(1, size // (4 * n_out)))
    wide = planes * max(n_in, n_out) * step.parts + THREADS * SOURCES >= NARROW
    winners = memory.held(memory.cupy().empty((planes * n_out,), "uint64" if wide else "uint32"))
    for first in range(0, step.planes, planes):
        last = min(first + planes, step.planes)
        yield (
            slice(first * n_in, last * n_in),
            slice(first * n_out, last * n_out),
            winners[: (last - first) * n_out],
            wide,
        )


def _vote(step: UnpoolStep, chosen: Any, votes: Any, spec: VoteSpec) -> None:
    arguments = (flags.address(chosen.device.id), chosen.size, step.n_in, step.n_out)
    Launch(spec, -(-chosen.size // SOURCES), arguments).run(chosen, votes)


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
    for sources, places, votes, wide in _batches(step, _VOTE_BYTES):
        votes.fill(0)
        _vote(step, indices[sources], votes, VoteSpec(str(indices.dtype), wide))
        yield sources, places, votes, wide


def run_unpool(step: UnpoolStep, x: Any, indices: Any, out: Any) -> None:
    """Put samples where their indices say, into zeros; `x` and `out` are of the step's carrier."""
    indices = indices.reshape(-1)
    check_indices(step, indices)
    bits = np.dtype(f"u{step.storage.itemsize}")
    x, out = (array.view(bits).reshape(-1, step.parts) for array in (x, out))
    windows = _windows_of_thread(step, x, indices, out)
    if windows:
        _fill_windows(step, x, indices, out, windows)
    else:
        _fetch(step, x, indices, out)


def _windows_of_thread(step: UnpoolStep, x: Any, indices: Any, out: Any) -> int:
    """Return how many neighbouring windows a thread may fill: none, unless they tile the output and addresses allow."""
    if step.windows is None:
        return 0
    (_, _, width), (depth_taps, row_taps, length) = step.windows
    if depth_taps * row_taps > _MAX_WINDOW_ROWS:
        return 0
    held = ((x, step.parts), (indices, 1), (out, length * step.parts))  # with the scalars that each has for a window

    def fits(windows: int) -> bool:
        return (
            width % windows == 0
            and windows * length <= _MAX_FILLED
            and all(array.data.ptr % gcd(windows * scalars * array.itemsize, ACCESS) == 0 for array, scalars in held)
        )

    return next((windows for windows in (4, 2, 1) if fits(windows)), 0)


def _fetch(step: UnpoolStep, x: Any, indices: Any, out: Any) -> None:
    for sources, places, votes, wide in elections(step, indices):
        source, target = x[sources], out[places]
        lanes = lanes_of_row(target.size, *((array.data.ptr, array.itemsize) for array in (target, votes)))
        spec = FetchSpec(step.storage.itemsize, step.parts, lanes, wide)
        Launch(spec, target.size // lanes, (target.size,)).run(source, target, votes)


def _fill_windows(step: UnpoolStep, x: Any, indices: Any, out: Any, windows: int) -> None:
    assert step.windows is not None
    size, (depth_taps, row_taps, length) = step.windows
    word, kind, flag = step.storage.itemsize, str(indices.dtype), flags.address(out.device.id)
    for sources, places, votes, wide in _batches(step, _STRAY_BYTES):
        source, chosen, target = x[sources], indices[sources], out[places]
        number, arrays = chosen.size, (source, target, chosen, votes)
        fill = FillSpec(word, step.parts, kind, length, windows, wide)
        Launch(fill, number // windows, (flag, number, *size, depth_taps, row_taps)).run(*arrays)
        _vote(step, chosen, votes, VoteSpec(kind, wide, only_if_strayed=True))
        place = PlaceSpec(word, step.parts, kind, wide)
        Launch(place, -(-number // SOURCES), (flag, number, step.n_in, step.n_out)).run(*arrays)
