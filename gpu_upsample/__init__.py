"""Upsampling and resampling of NumPy and CuPy arrays, with gradients, on the CPU and on CUDA GPUs.

Importing the package imports neither Numba nor CuPy; a name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_upsample import compat, nn, typing
    from gpu_upsample.conv_transpose import bilinear_weight, conv_transpose1d, conv_transpose2d, conv_transpose3d
    from gpu_upsample.conv_transpose_backward import (
        conv_transpose1d_backward,
        conv_transpose2d_backward,
        conv_transpose3d_backward,
    )
    from gpu_upsample.cpu.processors import use_threads
    from gpu_upsample.dispatch import available_backends, check_errors, show_info, use_backend
    from gpu_upsample.errors import BackendUnavailableError
    from gpu_upsample.pooling import max_pool1d, max_pool2d, max_pool3d, max_unpool1d, max_unpool2d, max_unpool3d
    from gpu_upsample.pooling_backward import (
        max_pool1d_backward,
        max_pool2d_backward,
        max_pool3d_backward,
        max_unpool1d_backward,
        max_unpool2d_backward,
        max_unpool3d_backward,
    )
    from gpu_upsample.rearrange import fold, pixel_shuffle, pixel_unshuffle, unfold
    from gpu_upsample.resample import interpolate, resize
    from gpu_upsample.resample_backward import interpolate_backward, resize_backward

__version__ = "0.1.0"

_HOME = {
    "conv_transpose": ("bilinear_weight", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    "conv_transpose_backward": (
        "conv_transpose1d_backward", "conv_transpose2d_backward", "conv_transpose3d_backward",
    ),
    "cpu.processors": ("use_threads",),
    "dispatch": ("available_backends", "check_errors", "show_info", "use_backend"),
    "errors": ("BackendUnavailableError",),
    "pooling": ("max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d"),
    "pooling_backward": (
        "max_pool1d_backward", "max_pool2d_backward", "max_pool3d_backward",
        "max_unpool1d_backward", "max_unpool2d_backward", "max_unpool3d_backward",
    ),
    "rearrange": ("fold", "pixel_shuffle", "pixel_unshuffle", "unfold"),
    "resample": ("interpolate", "resize"),
    "resample_backward": ("interpolate_backward", "resize_backward"),
}  # fmt: skip
"""Module -> the public names that it defines."""

_ROOMS = ("compat", "nn", "typing")

__all__ = [
    "BackendUnavailableError",
    "available_backends",
    "bilinear_weight",
    "check_errors",
    "compat",
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose3d",
    "conv_transpose3d_backward",
    "fold",
    "interpolate",
    "interpolate_backward",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "max_unpool1d",
    "max_unpool1d_backward",
    "max_unpool2d",
    "max_unpool2d_backward",
    "max_unpool3d",
    "max_unpool3d_backward",
    "nn",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "resize_backward",
    "show_info",
    "typing",
    "unfold",
    "use_backend",
    "use_threads",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    for home, names in _HOME.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
