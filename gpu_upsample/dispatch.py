"""Which backend serves a call, and what this machine can run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_upsample.typing import Backend

BACKENDS: tuple[Backend, ...] = ("cpu", "cuda")
"""The backends by name; each is the subpackage of that name."""

_CHOICES = ("auto", *BACKENDS)
_block: ContextVar[str | None] = ContextVar("gpu_upsample_backend", default=None)


def _checked(source: str, name: Any) -> str:
    if not isinstance(name, str) or name not in _CHOICES:
        raise ValueError(f"{source} must be one of {', '.join(map(repr, _CHOICES))}; got {name!r}")
    return str(name)


@contextmanager
def use_backend(name: Backend) -> Iterator[None]:
    """Set the backend of all calls in a ``with`` block, in its own thread or asynchronous task.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        ``"auto"`` follows the data. The argument ``backend=`` of a call takes precedence over the block, and the block
        over the environment variable ``GPU_UPSAMPLE_BACKEND``, which is read once.

    Raises
    ------
    ValueError
        If there is no backend of this name. Whether the backend can run here is checked by the calls.

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
    return backend_of_environment()


@cache
def backend_of_environment() -> str:
    """Return what GPU_UPSAMPLE_BACKEND says, read once: to look into the environment takes long beside a small call."""
    return _checked("GPU_UPSAMPLE_BACKEND", os.environ.get("GPU_UPSAMPLE_BACKEND") or "auto")


@cache
def load(name: str) -> Any:
    """Return the backend called `name`, which says by an error what it lacks."""
    backend = import_module(f"gpu_upsample.{name}")
    backend.require()
    return backend


# ---- what this machine can run ------------------------------------------------------------------------------
def available_backends() -> tuple[Backend, ...]:
    """Return the names of the backends that this machine can run.

    Returns
    -------
    tuple of str
        ``"cpu"``, and ``"cuda"`` if the packages, a driver and a device for it are present.

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
    """Wait for the GPUs and raise errors that GPU kernels have recorded.

    On a GPU, unpooling and the gradients of pooling and unpooling do not wait for their indices to be checked. They
    skip an index that is out of range or outside its window, and record it; this function reports it. With
    ``validate=True`` a call checks the indices first.

    Raises
    ------
    ValueError
        If a kernel has skipped an index since the last check.

    Examples
    --------
    >>> check_errors()
    """
    import_module("gpu_upsample.cuda").check_errors()


def show_info() -> None:
    """Print the backends, with the versions of Python and of the packages, the driver and the device they depend on.

    Examples
    --------
    >>> show_info()  # doctest: +ELLIPSIS
    gpu_upsample ...
    python ...
    backend cpu   available
    backend cuda  ...
    default       auto
    threads       ...
    """
    import platform
    from importlib.metadata import PackageNotFoundError, version

    def found(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "not installed"

    def told(ask: Callable[[], Any]) -> str:
        try:
            return str(ask())
        except ValueError as error:  # of an environment variable
            return str(error)

    from gpu_upsample.cpu.processors import num_threads

    usable, detail = _cuda_state()
    lines = [
        f"gpu_upsample  {found('gpu_upsample')}",
        f"python        {platform.python_version()} on {platform.platform()}",
        "backend cpu   available",
        f"backend cuda  {'available' if usable else 'not available'}: {detail}",
        f"default       {told(partial(chosen_backend, None))}",
        f"threads       {told(num_threads)}",
    ]
    packages = ("numpy", "numba", "numba-cuda", "cuda-core", "cupy-cuda13x", "cupy-cuda12x", "ml_dtypes", "torch")
    lines += [f"{package:13} {found(package)}" for package in packages]
    sys.stdout.write("\n".join(lines) + "\n")
