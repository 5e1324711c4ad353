"""Runs the gradients of max pooling and unpooling on the GPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpu_upsample.cuda import flags, memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.pooling import furthest_place, lanes_of_row
from gpu_upsample.cuda.pooling_backward_kernels import PoolBackwardSpec, UnpoolBackwardSpec, WindowsSpec
from gpu_upsample.cuda.run import NARROW, Launch
from gpu_upsample.cuda.unpooling import check_indices, elections
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.pooling_backward import PoolBackwardStep, UnpoolBackwardStep, window_error

# The most windows along a row, of those that reach a sample, that are unrolled.
_MAX_UNROLLED_WINDOWS = 4


# ---- pooling ------------------------------------------------------------------------------------------------
def _queue_check(step: PoolBackwardStep, indices: Any, flag: int) -> None:
    """Queue a check of every index; the flag at the address `flag` is set if one lies outside of its window."""
    pool = step.forward
    wide = max(indices.size + THREADS, prod(pool.size_in), furthest_place(pool)) >= NARROW
    spec = WindowsSpec(str(indices.dtype), max(pool.dilation) > 1, wide)
    sizes = (*pool.size_in, *pool.size_out, *pool.kernel, *pool.stride, *pool.padding, *pool.dilation)
    Launch(spec, indices.size, (flag, indices.size, *sizes)).run(indices)


def _check_windows(step: PoolBackwardStep, indices: Any) -> None:
    """Raise if an index lies outside of its window: now, or when somebody asks for errors."""
    if not step.validate:
        _queue_check(step, indices, flags.address(indices.device.id))
        return
    flag = memory.cupy().empty((1,), "uint32")
    flag.fill(0)
    _queue_check(step, indices, int(flag.data.ptr))
    if int(memory.to_host(flag)[0]):
        raise window_error(step, memory.to_host(indices).reshape(-1))


@kept
def _tables(step: PoolBackwardStep, device: int) -> tuple[tuple[int, ...], int, memory.Tables]:
    """Return the steps of the windows, how many along a row reach a sample, and which do."""
    covers = [step.cover(axis) for axis in range(3)]
    tables = memory.upload_uint32(table for cover in covers for table in (cover.first, cover.count))
    return tuple(cover.step for cover in covers), int(covers[2].count.max()), tables


def run_pool_backward(step: PoolBackwardStep, grad: Any, indices: Any, out: Any) -> None:
    """Add up the gradients of the windows that chose each sample; `grad` and `out` are of the step's carrier."""
    _check_windows(step, indices)
    pool = step.forward
    steps, most, tables = _tables(step, out.device.id)
    lanes = lanes_of_row(pool.size_in[2], (out.data.ptr, out.itemsize))
    wide = max(grad.size, out.size + THREADS * lanes) >= NARROW
    columns = most if most <= _MAX_UNROLLED_WINDOWS else 0
    spec = PoolBackwardSpec(pool.storage.name, str(indices.dtype), columns, lanes, wide)
    arguments = (out.size, *pool.size_in, *pool.size_out, *steps, *tables.addresses)
    Launch(spec, out.size // lanes, arguments, tables).run(grad, out, indices)


# ---- unpooling ----------------------------------------------------------------------------------------------
def run_unpool_backward(step: UnpoolBackwardStep, grad: Any, indices: Any, out: Any) -> None:
    """Fetch the gradient of every sample that was not replaced; `grad` and `out` are of the step's carrier."""
    unpool, indices = step.forward, indices.reshape(-1)
    check_indices(unpool, indices)
    bits = np.dtype(f"u{unpool.storage.itemsize}")
    grad, out = (array.view(bits).reshape(-1, unpool.parts) for array in (grad, out))
    for sources, places, votes, wide in elections(unpool, indices):
        chosen = indices[sources]
        spec = UnpoolBackwardSpec(unpool.storage.itemsize, unpool.parts, str(indices.dtype), wide)
        one_by_one = Launch(spec, chosen.size, (chosen.size, unpool.n_in, unpool.n_out))
        one_by_one.run(grad[places], out[sources], chosen, votes)
