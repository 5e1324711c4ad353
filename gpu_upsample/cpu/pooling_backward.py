"""Runs the gradients of max pooling and unpooling on the CPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Room
from gpu_upsample.cpu.launch import Launch
from gpu_upsample.cpu.unpooling import check_indices, cuts_of_plane
from gpu_upsample.cpu.pooling_backward_kernels import pool_backward_kernel, unpool_backward_kernel, windows_kernel
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.pooling_backward import PoolBackwardStep, UnpoolBackwardStep, window_error


@kept
def _windows_launch(step: PoolBackwardStep) -> Launch:
    pool = step.forward
    start = np.arange(pool.size_out[2]) * pool.stride[2] - pool.padding[2]
    end = np.minimum(start + (pool.kernel[2] - 1) * pool.dilation[2], pool.size_in[2] - 1)
    geometry = pool.size_in, pool.size_out, pool.kernel, pool.stride, pool.padding, pool.dilation
    return Launch(windows_kernel(int(pool.dilation[2] > 1)), *geometry, start, end)


def _check_windows(step: PoolBackwardStep, indices: Any) -> None:
    """Raise if an index names no sample of its own window."""
    where, astray = indices.reshape(-1, step.forward.size_out[2]), np.zeros(1, np.bool_)
    _windows_launch(step).run((where, astray), len(where), where.nbytes, least=8)
    if astray[0]:
        raise window_error(step, indices)


@kept
def _pool_backward_launch(step: PoolBackwardStep) -> Launch:
    pool = step.forward
    # Which windows reach the samples of the two axes that are read row by row.
    covers = ((cover.first, cover.count, cover.step) for cover in map(step.cover, (0, 1)))
    real = np.dtype(pool.storage.accumulator).type
    line = Room(real, (pool.size_in[2] + pool.size_out[2],))
    kernel = pool_backward_kernel(kind_of(pool.storage.name))
    return Launch(kernel, pool.size_out, *covers, real(0.0), real(1.0), line)


def run_pool_backward(step: PoolBackwardStep, grad: Any, indices: Any, out: Any) -> None:
    """Add up the gradients of the windows that chose each sample; the arrays are flat, `grad` and `out` carriers."""
    _check_windows(step, indices)
    pool = step.forward
    width, windows = pool.size_in[2], pool.size_out[2]
    grad, where, out = grad.reshape(-1, windows), indices.reshape(-1, windows), out.reshape(-1, width)
    size = (grad.nbytes + where.nbytes + out.nbytes) * prod(pool.kernel)
    _pool_backward_launch(step).run((grad, where, out), len(out), size, least=8)


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
