"""The CPU backend: kernels compiled by Numba, on NumPy arrays.

It exports the same functions as the CUDA backend.
"""

from __future__ import annotations

from functools import cache
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpu_upsample.cpu.conv_transpose import run_conv_transpose
from gpu_upsample.cpu.conv_transpose_backward import run_conv_transpose_backward
from gpu_upsample.cpu.pooling import run_pool, run_unpool
from gpu_upsample.cpu.pooling_backward import run_pool_backward, run_unpool_backward
from gpu_upsample.cpu.rearrange import run_fold, run_shuffle, run_unfold
from gpu_upsample.cpu.resample import run_filter, run_select
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.conv_transpose_backward import ConvTransposeBackwardStep
from gpu_upsample.plan.dtypes import Storage, scalars
from gpu_upsample.plan.pooling import PoolStep, UnpoolStep
from gpu_upsample.plan.pooling_backward import PoolBackwardStep, UnpoolBackwardStep
from gpu_upsample.plan.rearrange import FoldStep, ShuffleStep, UnfoldStep
from gpu_upsample.plan.steps import FilterStep, SelectStep

__all__ = ["as_array", "copy", "empty", "overlap", "run_step", "scratch", "words"]

_RUN: dict[type, Any] = {
    ConvTransposeBackwardStep: run_conv_transpose_backward,
    ConvTransposeStep: run_conv_transpose,
    FilterStep: run_filter,
    FoldStep: run_fold,
    PoolBackwardStep: run_pool_backward,
    PoolStep: run_pool,
    SelectStep: run_select,
    ShuffleStep: run_shuffle,
    UnfoldStep: run_unfold,
    UnpoolBackwardStep: run_unpool_backward,
    UnpoolStep: run_unpool,
}


def as_array(x: Any) -> Any:
    """Return a host operand as a NumPy array, which it is."""
    return x


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return a new array, in the byte order of the machine."""
    new = np.empty(shape, dtype)
    return new if new.dtype.isnative else np.empty(shape, new.dtype.newbyteorder("="))


@cache
def _carrier(dtype: str) -> Any:
    return np.dtype(scalars(dtype)[0].carrier)


def words(x: Any, dtype: str) -> Any:
    """Return the scalars of `x`, of a dtype of that name, as a flat array of their carrier.

    Where `x` is contiguous, nothing is copied.
    """
    kind, carrier = x.dtype, _carrier(dtype)
    if not (x.flags.c_contiguous and kind.isnative):
        x = np.ascontiguousarray(x, dtype=kind.newbyteorder("="))
    flat = x.reshape(-1)
    if kind is not carrier:
        flat = flat.view(carrier)
    return flat if flat.flags.writeable else _unlocked(flat)


def _unlocked(x: Any) -> Any:
    """Return a read-only array as one that is not: Numba would compile every kernel anew for it.

    No kernel writes to what it reads.
    """
    interface = x.__array_interface__
    address, _ = interface["data"]
    return np.asarray(SimpleNamespace(__array_interface__=interface | {"data": (address, False)}, owner=x))


def scratch(shape: tuple[int, ...], storage: Storage) -> Any:
    """Return an uninitialised flat array for an intermediate result."""
    return np.empty(prod(shape), storage.carrier)


def run_step(step: Any, inputs: list[Any], outputs: list[Any]) -> None:
    """Execute one step of a plan on flat arrays."""
    _RUN[type(step)](step, *inputs, *outputs)


def copy(x: Any, out: Any) -> None:
    """Copy `x` to `out`, which has the same shape and dtype."""
    np.copyto(out, x)


def overlap(x: Any, out: Any) -> bool:
    """Say whether the two arrays share memory."""
    try:
        return bool(np.shares_memory(x, out, max_work=10_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
