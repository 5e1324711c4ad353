"""Runs max unpooling on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import Given
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.unpooling_kernels import CHECKED, WINDOWS, own_windows_kernel, range_kernel, unpool_kernel
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.pooling import UnpoolStep, index_error

# A plane is cut so that a part has at least this many bytes: every part reads all indices of its plane.
_PART = 1 << 18


@kept
def _range_work(step: UnpoolStep, index: np.dtype[Any]) -> Work:
    indices = Given(index, (step.planes * step.n_in,))
    rows = -(-indices.shape[0] // CHECKED)
    return work(range_kernel, indices, Given(np.bool_, (1,)), step.n_out, rows=rows)


def check_indices(step: UnpoolStep, indices: Any) -> None:
    """Raise if an index is out of range."""
    astray = np.zeros(1, np.bool_)
    _range_work(step, indices.dtype).run(indices, astray)
    if astray[0]:
        first = int(np.argmax((indices < 0) | (indices >= step.n_out)))
        raise index_error(step, first, int(indices[first]))


def cuts_of_plane(step: UnpoolStep, size: int, threads: int) -> int:
    """Return into how many parts each plane is cut, for all threads to have work; `size` is the bytes of all."""
    wanted = -(-2 * threads // step.planes)
    return max(1, min(wanted, size // step.planes // _PART))


def given(step: UnpoolStep, index: np.dtype[Any]) -> tuple[Given, Given, Given]:
    """Return the small array, the indices and the large array as kernels take them."""
    bits = f"u{step.storage.itemsize}"
    small, large = (Given(bits, (step.planes * n * step.parts,)) for n in (step.n_in, step.n_out))
    return small, Given(index, (step.planes * step.n_in,)), large


@kept
def _own_windows_work(step: UnpoolStep, index: np.dtype[Any]) -> Work | None:
    """Return what puts samples into windows of their own, if there are such and they are short."""
    if step.windows is None or step.windows[1][2] > WINDOWS:
        return None
    (depth, height, width), (deep, high, wide) = step.windows
    x, indices, out = given(step, index)
    rows = step.planes * depth * height
    x = x._replace(shape=(rows, width * step.parts))
    indices = indices._replace(shape=(rows, width))
    out = out._replace(shape=(rows * deep * high, width * wide * step.parts))
    kernel, astray = own_windows_kernel(wide, step.parts), Given(np.bool_, (1,))
    return work(kernel, x, indices, out, astray, depth, height, deep, high, rows=rows)


@kept
def _unpool_work(step: UnpoolStep, index: np.dtype[Any], threads: int) -> Work:
    x, indices, out = given(step, index)
    kernel, cuts = unpool_kernel(step.parts), cuts_of_plane(step, out.nbytes, threads)
    return work(kernel, x, indices, out, cuts, step.n_in, step.n_out, rows=step.planes * cuts)


def run_unpool(step: UnpoolStep, x: Any, indices: Any, out: Any) -> None:
    """Put samples where their indices say, into zeros; all arrays are flat."""
    check_indices(step, indices)
    own, astray = _own_windows_work(step, indices.dtype), np.zeros(1, np.bool_)
    if own is not None:
        own.run(x, indices, out, astray)
    if own is None or astray[0]:
        _unpool_work(step, indices.dtype, num_threads()).run(x, indices, out)
