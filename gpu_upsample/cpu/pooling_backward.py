"""Runs the gradients of max pooling and unpooling on the CPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Room
from gpu_upsample.cpu.launch import Launch
from gpu_upsample.cpu.pooling_backward_kernels import pool_backward_kernel, unpool_backward_kernel, windows_kernel
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.unpooling import check_indices, cuts_of_plane
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.pooling_backward import PoolBackwardStep, UnpoolBackwardStep, window_error

# Indices that are looked at together: as many as a row has at least.
_LANES = (16, 4, 1)
# Parts of a plane have about this many bytes: gradients are added where the second cache holds them.
_PART = 1 << 18


@kept
def _windows_launch(step: PoolBackwardStep) -> Launch:
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
    return Launch(windows_kernel(lanes), *geometry, low, span)


def _check_windows(step: PoolBackwardStep, indices: Any) -> None:
    """Raise if an index names no sample of its own window."""
    rows, astray = indices.size // step.forward.size_out[2], np.zeros(1, np.bool_)
    _windows_launch(step).run((indices, astray), rows, indices.nbytes, least=8)
    if astray[0]:
        raise window_error(step, indices)


@kept
def _pool_backward_launch(step: PoolBackwardStep, cuts: int) -> Launch:
    pool, half = step.forward, step.forward.storage.name.endswith("float16")
    axes = zip(pool.size_out, pool.stride, pool.padding, pool.kernel, pool.dilation, strict=True)
    deep, high, _ = ((n, stride, padding, (kernel - 1) * dilation) for n, stride, padding, kernel, dilation in axes)
    real = np.dtype(pool.storage.accumulator).type
    room = Room(real, (-(-pool.size_in[0] * pool.size_in[1] // cuts) * pool.size_in[2] if half else 1,))
    kernel = pool_backward_kernel(kind_of(pool.storage.name), int(half))
    return Launch(kernel, cuts, pool.size_in, pool.size_out, deep, high, real(0.0), real(1.0), room)


def run_pool_backward(step: PoolBackwardStep, grad: Any, indices: Any, out: Any) -> None:
    """Add up the gradients of the windows that chose each sample; the arrays are flat, `grad` and `out` carriers."""
    _check_windows(step, indices)
    pool = step.forward
    rows = prod(pool.size_in[:2])
    cuts = min(rows, max(-(-2 * num_threads() // pool.planes), out.nbytes // pool.planes // _PART, 1))
    size = grad.nbytes + indices.nbytes + out.nbytes
    _pool_backward_launch(step, cuts).run((grad, indices, out), pool.planes * cuts, size, least=1)


@kept
def _unpool_backward_launch(step: UnpoolBackwardStep) -> Launch:
    unpool = step.forward
    return Launch(unpool_backward_kernel(unpool.parts), unpool.n_in, unpool.n_out)


def run_unpool_backward(step: UnpoolBackwardStep, grad: Any, indices: Any, out: Any) -> None:
    """Fetch the gradient of every sample that was not replaced; `grad` and `out` are flat and carriers."""
    unpool = step.forward
    check_indices(unpool, indices)
    bits = np.dtype(f"u{unpool.storage.itemsize}")
    grad, out = grad.view(bits), out.view(bits)
    cuts = cuts_of_plane(unpool, grad.nbytes)
    taken = Room(np.bool_, (-(-unpool.n_out // cuts),))
    size = grad.nbytes + indices.nbytes + out.nbytes
    _unpool_backward_launch(step).run((grad, indices, out, cuts, taken), unpool.planes * cuts, size, least=1)
