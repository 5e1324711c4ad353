"""Functions of other libraries, with their names, arguments and numerics: only an import changes.

Each module is named after a library and does not import it, except `torch`, which works on torch's tensors.

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
    from gpu_upsample.compat import jax, keras, onnx, opencv, paddle, pillow, scipy, tensorflow, torch, torch_uint8

__all__ = ["jax", "keras", "onnx", "opencv", "paddle", "pillow", "scipy", "tensorflow", "torch", "torch_uint8"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
