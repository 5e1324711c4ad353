"""The CPU backend: kernels compiled by Numba, on NumPy arrays.

It exports the same functions as the CUDA backend.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpu_upsample.cpu.resample import run_filter, run_select
from gpu_upsample.plan.dtypes import Storage
from gpu_upsample.plan.steps import FilterStep, SelectStep

__all__ = ["as_array", "copy", "empty", "overlap", "run_step", "scratch", "words"]

_RUN: dict[type, Any] = {FilterStep: run_filter, SelectStep: run_select}


def as_array(x: Any) -> Any:
    """Return a host operand as a NumPy array, which it is."""
    return x


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return a new array, in the byte order of the machine."""
    return np.empty(shape, np.dtype(dtype).newbyteorder("="))


def words(x: Any, storage: Storage) -> Any:
    """Return the scalars of `x` as a flat array of their carrier, without copying where `x` is contiguous."""
    return np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("=")).reshape(-1).view(storage.carrier)


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
