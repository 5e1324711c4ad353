"""Which backend serves a call, and what this machine can run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any

BACKENDS = ("cpu", "cuda")
"""The backends by name; each is the subpackage of that name."""

_CHOICES = ("auto", *BACKENDS)
_block: ContextVar[str | None] = ContextVar("gpu_upsample_backend", default=None)


def _checked(source: str, name: Any) -> str:
    if name not in _CHOICES:
        raise ValueError(f"{source} must be one of {', '.join(map(repr, _CHOICES))}; got {name!r}")
    return str(name)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Set the backend of all calls in a ``with`` block.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        ``"auto"`` follows the data. A call's own ``backend=`` overrules the block, and the block overrules the
        environment variable ``GPU_UPSAMPLE_BACKEND``.

    Examples
    --------
    >>> import numpy as np, gpu_upsample as gu
    >>> with gu.use_backend("cpu"):
    ...     gu.resize(np.array([0.0, 1.0]), 4)
    array([0.  , 0.25, 0.75, 1.  ])
    """
    token = _block.set(_checked("backend", name))
    try:
        yield
    finally:
        _block.reset(token)


def chosen_backend(backend: Any) -> str:
    """Return the backend that a call, a block or the environment asks for; ``"auto"`` follows the data."""
    if backend is not None:
        return _checked("backend", backend)
    if (block := _block.get()) is not None:
        return block
    return _checked("GPU_UPSAMPLE_BACKEND", os.environ.get("GPU_UPSAMPLE_BACKEND", "auto"))


@cache
def load(name: str) -> Any:
    """Return the backend called `name`; BackendUnavailableError says what it lacks."""
    backend = import_module(f"gpu_upsample.{name}")
    if name == "cuda":
        backend.require()
    return backend


# ---- what this machine can run ------------------------------------------------------------------------------
def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that this machine can run.

    Examples
    --------
    >>> "cpu" in available_backends()
    True
    """
    return tuple(name for name in BACKENDS if name == "cpu" or _cuda_state()[0])


def _cuda_state() -> tuple[bool, str]:
    """Return whether the CUDA backend can run, and its device or what is missing."""
    state: tuple[bool, str] = import_module("gpu_upsample.cuda.availability").state()
    return state


def check_errors() -> None:
    """Wait for the GPUs, and raise what they could not raise while they worked.

    `max_unpool2d` and its kin pass over an index out of range on a GPU, since to look first would mean to wait; so do
    the gradients of pooling and unpooling, which also pass over an index outside of its window.

    Raises
    ------
    ValueError
        If that happened since the last check.

    Examples
    --------
    >>> check_errors()
    """
    import_module("gpu_upsample.cuda").check_errors()


def show_info() -> None:
    """Print the backends, and the versions, driver and device that decide whether they run."""
    from importlib.metadata import PackageNotFoundError, version

    def found(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    from gpu_upsample.cpu.threads import num_threads

    usable, detail = _cuda_state()
    lines = [
        f"gpu_upsample {found('gpu_upsample')}",
        f"backend cpu   available, {num_threads()} threads",
        f"backend cuda  {'available' if usable else 'not available'}: {detail}",
    ]
    packages = ("numpy", "numba", "numba-cuda", "cuda-core", "cupy-cuda13x", "cupy-cuda12x")
    lines += [f"{package:13} {found(package)}" for package in packages]
    sys.stdout.write("\n".join(lines) + "\n")
