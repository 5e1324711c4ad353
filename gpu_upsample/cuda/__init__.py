"""The CUDA backend: Numba CUDA kernels on device arrays.

It exports the same functions as the CPU backend, and those that move data between host and device. What needs
numba-cuda or CuPy is imported when the backend first works.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from gpu_upsample.cuda.availability import state
from gpu_upsample.cuda.flags import check_errors, to_host
from gpu_upsample.cuda.memory import as_array, copy, empty, from_host, overlap, placed, scratch, words
from gpu_upsample.cuda.volumes import joined
from gpu_upsample.errors import BackendUnavailableError

__all__ = [
    "as_array", "check_errors", "copy", "empty", "from_host", "joined", "overlap", "placed", "require", "run_step",
    "scratch", "to_host", "words",
]  # fmt: skip


def require() -> None:
    """Raise BackendUnavailableError if this machine cannot run CUDA."""
    usable, detail = state()
    if not usable:
        raise BackendUnavailableError(f"backend 'cuda' cannot run here: {detail}")


def run_step(step: Any, inputs: list[Any], outputs: list[Any]) -> None:
    """Execute one step of a plan on flat arrays."""
    _runs()[type(step)](step, *inputs, *outputs)


@cache
def _runs() -> dict[type, Callable[..., None]]:
    from gpu_upsample.cuda.execute import RUN

    return RUN
