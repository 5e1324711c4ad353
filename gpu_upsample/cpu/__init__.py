"""The CPU backend: kernels compiled by Numba, on NumPy arrays.

It exports the same functions as the CUDA backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib import import_module
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.cpu.bands import joined
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.plan.dtypes import Storage, scalars

__all__ = ["as_array", "copy", "empty", "joined", "overlap", "placed", "require", "run_step", "scratch", "words"]

_HERE = nullcontext()

_RUN = {
    "Bands": ("filter", "run_bands"),
    "ConvTransposeBackwardStep": ("conv_transpose_backward", "run_conv_transpose_backward"),
    "ConvTransposeStep": ("conv_transpose", "run_conv_transpose"),
    "FilterStep": ("filter", "run_filter"),
    "FoldStep": ("rearrange", "run_fold"),
    "PoolBackwardStep": ("pooling_backward", "run_pool_backward"),
    "PoolStep": ("pooling", "run_pool"),
    "SelectStep": ("select", "run_select"),
    "ShuffleStep": ("rearrange", "run_shuffle"),
    "UnfoldStep": ("rearrange", "run_unfold"),
    "UnpoolBackwardStep": ("pooling_backward", "run_unpool_backward"),
    "UnpoolStep": ("unpooling", "run_unpool"),
}
"""Kind of step -> the module that runs it, loaded with the first of them, and its function."""


@cache
def _runner(kind: str) -> Any:
    module, function = _RUN[kind]
    return getattr(import_module(f"{__name__}.{module}"), function)


def require() -> None:
    """Raise ValueError if the number of threads that the environment asks for is none."""
    num_threads()


def as_array(x: Any) -> Any:
    """Return a host array as a NumPy array, which it is."""
    return x


def placed(arrays: Sequence[Any], whole: Sequence[bool]) -> AbstractContextManager[Any]:
    """Return the context for work on some arrays: all of them are here."""
    return _HERE


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return a new array, in the byte order of the machine."""
    new = np.empty(shape, dtype)
    return new if new.dtype.isnative else np.empty(shape, new.dtype.newbyteorder("="))


@cache
def _carrier(dtype: str) -> Any:
    return np.dtype(scalars(dtype)[0].carrier)


def words(x: Any, dtype: str, is_whole: bool = True) -> Any:
    """Return the scalars of `x`, of a dtype of that name, as a flat array of their carrier.

    Where `is_whole` says that its items lie one after another, as the machine would write them, nothing is copied.
    """
    if type(x) is not np.ndarray:
        x = np.asarray(x)  # a matrix, for one, would not become flat
    carrier = _carrier(dtype)
    if not is_whole:
        x = np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("="))
    flat = x.reshape(-1)
    return flat if flat.dtype is carrier else flat.view(carrier)


def scratch(shape: tuple[int, ...], storage: Storage) -> Any:
    """Return an uninitialised flat array for an intermediate result."""
    return np.empty(prod(shape), storage.carrier)


def run_step(step: Any, inputs: list[Any], outputs: list[Any]) -> None:
    """Execute one step of a plan on flat arrays."""
    _runner(type(step).__name__)(step, *inputs, *outputs)


def copy(x: Any, out: Any) -> None:
    """Copy `x` to `out`, which has the same shape and dtype."""
    np.copyto(out, x)


def overlap(x: Any, x_is_whole: bool, out: Any, out_is_whole: bool) -> bool:
    """Say whether two arrays share memory."""
    try:
        return bool(np.shares_memory(x, out, max_work=10_000))  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
