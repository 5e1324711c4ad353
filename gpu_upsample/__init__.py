"""Every way of making an array larger or smaller, on the GPU and on the CPU.

Importing the package imports neither Numba nor CuPy; a name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_upsample.dispatch import available_backends, show_info, use_backend
    from gpu_upsample.errors import BackendUnavailableError
    from gpu_upsample.resample import interpolate, resize

__version__ = "0.1.0"

_HOME = {
    "BackendUnavailableError": "errors",
    "available_backends": "dispatch",
    "interpolate": "resample",
    "resize": "resample",
    "show_info": "dispatch",
    "use_backend": "dispatch",
}

__all__ = [
    "BackendUnavailableError",
    "available_backends",
    "interpolate",
    "resize",
    "show_info",
    "use_backend",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
