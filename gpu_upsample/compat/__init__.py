"""Other libraries' functions, under their own names, with their own arguments and numerics: change an import.

Each module is named after the library that it stands for, and never imports it.

Examples
--------
>>> import numpy as np
>>> from gpu_upsample import compat
>>> compat.onnx.resize(np.array([[0.0, 1.0]]), scales=[1, 2], mode="linear")
array([[0.  , 0.25, 0.75, 1.  ]])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_upsample.compat import jax, keras, onnx, opencv, paddle, pillow, tensorflow, torch, torch_uint8

_ROOMS = ("jax", "keras", "onnx", "opencv", "paddle", "pillow", "tensorflow", "torch", "torch_uint8")

__all__ = ["jax", "keras", "onnx", "opencv", "paddle", "pillow", "tensorflow", "torch", "torch_uint8"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
