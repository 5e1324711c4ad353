"""Runs the gradients of max pooling and unpooling on the CPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Given, Room
from gpu_upsample.cpu.pooling_backward_kernels import pool_backward_kernel, unpool_backward_kernel, windows_kernel
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.unpooling import check_indices, cuts_of_plane, given
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.pooling_backward import PoolBackwardStep, UnpoolBackwardStep, window_error

# Indices that are looked at together: as many as a row has at least.
_LANES = (16, 4, 1)
# Parts of a plane have about this many bytes: gradients are added where the second cache holds them.
_PART = 1 << 18


@kept
def _windows_work(step: PoolBackwardStep, index: np.dtype[Any]) -> Work:
    pool = step.forward
    geometry = pool.size_in, pool.size_out, pool.kernel, pool.stride, pool.padding, pool.dilation
    width, windows, taps, stride, padding, dilation = (triple[2] for triple in geometry)
    # The samples of each window along a row that there are.
    begin = np.arange(windows) * stride - padding
    low = np.where(begin < 0, begin % dilation, begin)
    span = np.minimum(begin + (taps - 1) * dilation + 1, width) - low
    lanes = 0 if dilation > 1 else next(lanes for lanes in _LANES if lanes <= windows)
    if lanes:  # the last of a row once more, rather than fewer together, but counted once
        whole, known = windows - windows % lanes, np.arange(lanes) < -windows % lanes
        low = np.append(low[:whole], low[-lanes:])
        span = np.append(span[:whole], np.where(known, 0, span[-lanes:]))
    rows = pool.planes * prod(pool.size_out[:2])
    indices, astray = Given(index, (rows * windows,)), Given(np.bool_, (1,))
    return work(windows_kernel(lanes), indices, astray, *geometry, low, span, rows=rows)


def _check_windows(step: PoolBackwardStep, indices: Any) -> None:
    """Raise if an index names no sample of its own window."""
    astray = np.zeros(1, np.bool_)
    _windows_work(step, indices.dtype).run(indices, astray)
    if astray[0]:
        raise window_error(step, indices)


@kept
def _pool_backward_work(step: PoolBackwardStep, index: np.dtype[Any], threads: int) -> Work:
    pool, half = step.forward, step.forward.storage.name.endswith("float16")
    axes = zip(pool.size_out, pool.stride, pool.padding, pool.kernel, pool.dilation, strict=True)
    deep, high, _ = ((n, stride, padding, (kernel - 1) * dilation) for n, stride, padding, kernel, dilation in axes)
    real = np.dtype(pool.storage.accumulator).type
    windows, samples = pool.planes * prod(pool.size_out), pool.planes * prod(pool.size_in)
    grad, out = (Given(pool.storage.carrier, (size,)) for size in (windows, samples))
    indices = Given(index, (windows,))
    cuts = max(-(-2 * threads // pool.planes), out.nbytes // pool.planes // _PART, 1)
    cuts = min(prod(pool.size_in[:2]), cuts)
    room = Room(real, (-(-pool.size_in[0] * pool.size_in[1] // cuts) * pool.size_in[2] if half else 1,))
    kernel = pool_backward_kernel(kind_of(pool.storage.name), int(half))
    return work(
        kernel, grad, indices, out, cuts, pool.size_in, pool.size_out, deep, high, real(0.0), room,
        rows=pool.planes * cuts,
    )  # fmt: skip


def run_pool_backward(step: PoolBackwardStep, grad: Any, indices: Any, out: Any) -> None:
    """Add up the gradients of the windows that chose each sample; all arrays are flat."""
    _check_windows(step, indices)
    _pool_backward_work(step, indices.dtype, num_threads()).run(grad, indices, out)


@kept
def _unpool_backward_work(step: UnpoolBackwardStep, index: np.dtype[Any], threads: int) -> Work:
    unpool = step.forward
    out, indices, grad = given(unpool, index)
    kernel, cuts = unpool_backward_kernel(unpool.parts), cuts_of_plane(unpool, grad.nbytes, threads)
    taken = Room(np.bool_, (-(-unpool.n_out // cuts),))
    return work(kernel, grad, indices, out, cuts, taken, unpool.n_in, unpool.n_out, rows=unpool.planes * cuts)


def run_unpool_backward(step: UnpoolBackwardStep, grad: Any, indices: Any, out: Any) -> None:
    """Fetch the gradient of every sample that was not replaced; all arrays are flat."""
    check_indices(step.forward, indices)
    _unpool_backward_work(step, indices.dtype, num_threads()).run(grad, indices, out)
