"""Runs max unpooling on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_upsample.cpu.launch import Launch
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.unpooling_kernels import WINDOWS, own_windows_kernel, range_kernel, unpool_kernel
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.pooling import UnpoolStep, index_error

# A plane is cut so that a part has at least this many bytes: every part reads all indices of its plane.
_PART = 1 << 18


@kept
def _range_launch(step: UnpoolStep) -> Launch:
    return Launch(range_kernel, step.n_out)


def check_indices(step: UnpoolStep, indices: Any) -> None:
    """Raise if an index is out of range."""
    astray = np.zeros(1, np.bool_)
    _range_launch(step).run((indices, astray), indices.size, indices.nbytes, least=1 << 14)
    if astray[0]:
        first = int(np.argmax((indices < 0) | (indices >= step.n_out)))
        raise index_error(step, first, int(indices[first]))


def cuts_of_plane(step: UnpoolStep, size: int) -> int:
    """Return into how many parts each plane is cut, for all threads to have work; `size` is the bytes of all."""
    wanted = -(-2 * num_threads() // step.planes)
    return max(1, min(wanted, size // step.planes // _PART))


@kept
def _own_windows_launch(step: UnpoolStep, windows: Any) -> Launch:
    (depth, height, _), (deep, high, wide) = windows
    return Launch(own_windows_kernel(wide, step.parts), depth, height, deep, high)


def _fills_own_windows(step: UnpoolStep, x: Any, indices: Any, out: Any) -> bool:
    """Put samples into windows of their own; return whether that was all."""
    if step.windows is None or step.windows[1][2] > WINDOWS:
        return False
    (_, _, width), (_, _, wide) = step.windows
    x, indices = x.reshape(-1, width * step.parts), indices.reshape(-1, width)
    out = out.reshape(-1, width * wide * step.parts)
    astray = np.zeros(1, np.bool_)
    size = x.nbytes + indices.nbytes + out.nbytes
    _own_windows_launch(step, step.windows).run((x, indices, out, astray), len(indices), size, least=1)
    return not astray[0]


@kept
def _unpool_launch(step: UnpoolStep) -> Launch:
    return Launch(unpool_kernel(step.parts), step.n_in, step.n_out)


def run_unpool(step: UnpoolStep, x: Any, indices: Any, out: Any) -> None:
    """Put samples where their indices say, into zeros; `x` and `out` are flat and of the step's carrier."""
    check_indices(step, indices)
    bits = np.dtype(f"u{step.storage.itemsize}")
    x, out = x.view(bits), out.view(bits)
    if _fills_own_windows(step, x, indices, out):
        return
    cuts = cuts_of_plane(step, out.nbytes)
    size = x.nbytes + indices.nbytes + out.nbytes
    _unpool_launch(step).run((x, indices, out, cuts), step.planes * cuts, size, least=1)
