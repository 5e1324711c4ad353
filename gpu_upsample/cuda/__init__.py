"""The CUDA backend: Numba CUDA kernels on device arrays.

It exports the same functions as the CPU backend, and those that move data between host and device. What needs
numba-cuda or CuPy is imported when the backend first works.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
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

_RUN = {
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
    "VolumeStep": ("filter", "run_filter"),
}
"""Kind of step -> the module that runs it, loaded with the first of them, and its function."""


@cache
def _runner(kind: str) -> Any:
    module, function = _RUN[kind]
    return getattr(import_module(f"{__name__}.{module}"), function)


def require() -> None:
    """Raise BackendUnavailableError if this machine cannot run CUDA."""
    usable, detail = state()
    if not usable:
        raise BackendUnavailableError(f"backend 'cuda' cannot run here: {detail}")


def run_step(step: Any, inputs: list[Any], outputs: list[Any]) -> None:
    """Execute one step of a plan on contiguous arrays."""
    _runner(type(step).__name__)(step, *inputs, *outputs)
