"""Which backend serves a call, and the way of the data there and back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from math import prod
from typing import Any

from gpu_upsample.arrays import Operand, operand
from gpu_upsample.plan.dtypes import scalars
from gpu_upsample.plan.steps import Plan

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


def chosen_backend(backend: Any, on_device: bool) -> str:
    """Return the name of the backend for data that lies on a device or not."""
    if backend is not None:
        name = _checked("backend", backend)
    elif (block := _block.get()) is not None:
        name = block
    else:
        name = _checked("GPU_UPSAMPLE_BACKEND", os.environ.get("GPU_UPSAMPLE_BACKEND", "auto"))
    if name == "auto":
        return "cuda" if on_device else "cpu"
    return name


@cache
def load(name: str) -> Any:
    """Return the backend called `name`; BackendUnavailableError says what it lacks."""
    backend = import_module(f"gpu_upsample.{name}")
    if name == "cuda":
        backend.require()
    return backend


def apply(
    plan_for: Callable[[tuple[int, ...], str], Plan],
    x: Any,
    out: Any,
    backend: Any,
) -> Any:
    """Plan for `x`, run the plan on the backend that the caller or the data chose, and return its result.

    Parameters
    ----------
    plan_for : callable
        Returns the plan for a shape and a dtype name, or raises.
    x, out, backend
        The arguments of the public operator.
    """
    source = operand("x", x)
    target = None if out is None else operand("out", out)
    plan = plan_for(source.shape, source.dtype)
    if target is not None:
        _check_out(target, source, plan)
    engine = load(chosen_backend(backend, source.on_device))
    home = load("cuda" if source.on_device else "cpu")
    array, goal = home.as_array(source.array), None if target is None else home.as_array(target.array)
    if goal is not None:
        if home.overlap(array, goal):
            raise ValueError("out must not overlap x in memory")
        if engine is home and goal.flags.c_contiguous and goal.dtype.isnative:
            _execute(engine, plan, array, goal)
            return out
    here = array if engine is home else _moved(array, source.on_device)
    result = engine.empty(plan.shape_out, here)
    _execute(engine, plan, here, result)
    if engine is not home:
        result = _moved(result, not source.on_device).view(array.dtype.newbyteorder("="))
    if goal is None:
        return source.give_back(result)
    home.copy(result, goal)
    return out


def _check_out(target: Operand, source: Operand, plan: Plan) -> None:
    if target.library != source.library or target.on_device != source.on_device:
        raise TypeError(f"x and out must be arrays of one kind; got {source.library} and {target.library}")
    if target.dtype != plan.dtype:
        raise TypeError(f"out must have dtype {plan.dtype}, got {target.dtype}")
    if target.shape != plan.shape_out:
        raise ValueError(f"out must have shape {plan.shape_out}, got {target.shape}")
    if not target.on_device and not target.array.flags.writeable:
        raise ValueError("out must be writable, got a read-only array")


def _moved(array: Any, from_device: bool) -> Any:
    """Copy an array from the device to the host, or from the host to the device."""
    cuda = load("cuda")
    return cuda.to_host(array) if from_device else cuda.from_host(array)


def _execute(engine: Any, plan: Plan, x: Any, out: Any) -> None:
    """Run the steps of a plan; `out` is contiguous."""
    if prod(plan.shape_out) == 0:
        return
    if not plan.steps:
        engine.copy(x, out)
        return
    storage, _ = scalars(plan.dtype)
    current = engine.words(x, storage)
    for step in plan.steps[:-1]:
        result = engine.scratch(step.shape_out, step.result, current)
        engine.run_step(step, current, result)
        current = result
    engine.run_step(plan.steps[-1], current, engine.words(out, storage))


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
