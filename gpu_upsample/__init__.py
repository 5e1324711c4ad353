"""Every way of making an array larger or smaller, on the GPU and on the CPU.

Importing the package imports neither Numba nor CuPy; a name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_upsample import compat, nn
    from gpu_upsample.conv_transpose import bilinear_weight, conv_transpose1d, conv_transpose2d, conv_transpose3d
    from gpu_upsample.conv_transpose_backward import (
        conv_transpose1d_backward,
        conv_transpose2d_backward,
        conv_transpose3d_backward,
    )
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
    "BackendUnavailableError": "errors",
    "available_backends": "dispatch",
    "bilinear_weight": "conv_transpose",
    "check_errors": "dispatch",
    "conv_transpose1d": "conv_transpose",
    "conv_transpose1d_backward": "conv_transpose_backward",
    "conv_transpose2d": "conv_transpose",
    "conv_transpose2d_backward": "conv_transpose_backward",
    "conv_transpose3d": "conv_transpose",
    "conv_transpose3d_backward": "conv_transpose_backward",
    "fold": "rearrange",
    "interpolate": "resample",
    "interpolate_backward": "resample_backward",
    "max_pool1d": "pooling",
    "max_pool1d_backward": "pooling_backward",
    "max_pool2d": "pooling",
    "max_pool2d_backward": "pooling_backward",
    "max_pool3d": "pooling",
    "max_pool3d_backward": "pooling_backward",
    "max_unpool1d": "pooling",
    "max_unpool1d_backward": "pooling_backward",
    "max_unpool2d": "pooling",
    "max_unpool2d_backward": "pooling_backward",
    "max_unpool3d": "pooling",
    "max_unpool3d_backward": "pooling_backward",
    "pixel_shuffle": "rearrange",
    "pixel_unshuffle": "rearrange",
    "resize": "resample",
    "resize_backward": "resample_backward",
    "show_info": "dispatch",
    "unfold": "rearrange",
    "use_backend": "dispatch",
}

_ROOMS = ("compat", "nn")

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
    "unfold",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_ROOMS})
