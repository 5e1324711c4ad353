"""Which backend serves a call, and the way of the data there and back."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_upsample.arrays import Operand, operand

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan

BACKENDS = ("cpu", "cuda")
"""The backends by name; each is the subpackage of that name."""

_CHOICES = ("auto", *BACKENDS)
_given, _dtype = attrgetter("shape", "dtype"), attrgetter("dtype")
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
    plan_for: Callable[..., Plan],
    inputs: dict[str, Any],
    out: Any,
    backend: Any,
    out_name: str = "out",
) -> Any:
    """Plan for some arrays, run the plan on the backend that the caller or the data chose, and return its results.

    Parameters
    ----------
    plan_for : callable
        Returns the plan for the (shape, dtype name) of every input, or raises.
    inputs : dict
        The arrays by the names that error messages call them. The first decides the kind and place of the results.
    out : array, tuple of arrays or None
        Where the results go.
    backend : str or None
        The argument of the public operator.
    out_name : str
        What error messages call `out`.

    Returns
    -------
    array or tuple of arrays
        One array if the plan has one output.
    """
    sources = [*map(operand, inputs, inputs.values())]
    first = sources[0]
    if len(sources) > 1:
        _check_one_kind(dict(zip(inputs, sources, strict=True)))
    plan = plan_for(*map(_given, sources))
    targets = None if out is None else _targets(out, out_name, next(iter(inputs)), first, plan)
    engine = load(chosen_backend(backend, first.on_device))
    home = load("cuda" if first.on_device else "cpu")
    arrays = [home.as_array(source.array) for source in sources]
    goals = None if targets is None else [home.as_array(target.array) for target in targets]
    with home.placed([*arrays, *(goals or ())]):
        if goals is not None:
            _check_apart(home, dict(zip(inputs, arrays, strict=True)), goals, out_name)
            if engine is home and all(goal.flags.c_contiguous and goal.dtype.isnative for goal in goals):
                _execute(engine, plan, sources, arrays, goals)
                return out
        here = arrays if engine is home else [_moved(array, first.on_device) for array in arrays]
        kinds = [here[0].dtype if o.dtype == first.dtype else o.dtype for o in plan.outputs]
        results = [*map(engine.empty, plan.shapes, kinds)]
        _execute(engine, plan, sources, here, results)
        if engine is not home:
            dtypes = [_native(arrays[0].dtype if o.dtype == first.dtype else o.dtype) for o in plan.outputs]
            moved = [_moved(result, not first.on_device) for result in results]
            results = [result.view(dtype) for result, dtype in zip(moved, dtypes, strict=True)]
        if goals is not None:
            for result, goal in zip(results, goals, strict=True):
                home.copy(result, goal)
            return out
        given = [*map(first.give_back, results, plan.dtypes)]
        return tuple(given) if len(given) > 1 else given[0]


def _native(dtype: Any) -> np.dtype[Any]:
    native: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")
    return native


def _check_one_kind(operands: dict[str, Operand]) -> None:
    kinds = {(held.library, held.on_device) for held in operands.values()}
    if len(kinds) > 1:
        listed = ", ".join(f"{name} from {held.library}" for name, held in operands.items())
        raise TypeError(f"all arrays of a call must be of one kind; got {listed}")


def _targets(out: Any, out_name: str, name: str, first: Operand, plan: Plan) -> list[Operand]:
    """Return the checked output arrays."""
    several = len(plan.outputs) > 1
    if several and not (isinstance(out, tuple) and len(out) == len(plan.outputs)):
        raise TypeError(f"{out_name} must be a tuple of {len(plan.outputs)} arrays, got {type(out).__name__}")
    targets = [operand(out_name, array) for array in (out if several else (out,))]
    for target, expected in zip(targets, plan.outputs, strict=True):
        if target.library != first.library or target.on_device != first.on_device:
            raise TypeError(
                f"{name} and {out_name} must be arrays of one kind; got {first.library} and {target.library}"
            )
        if target.dtype != expected.dtype:
            raise TypeError(f"{out_name} must have dtype {expected.dtype}, got {target.dtype}")
        if target.shape != expected.shape:
            raise ValueError(f"{out_name} must have shape {expected.shape}, got {target.shape}")
        if not target.on_device and not target.array.flags.writeable:
            raise ValueError(f"{out_name} must be writable, got a read-only array")
    return targets


def _check_apart(home: Any, arrays: dict[str, Any], goals: list[Any], out_name: str) -> None:
    for position, goal in enumerate(goals):
        for name, array in (*arrays.items(), *((f"another {out_name}", other) for other in goals[:position])):
            if home.overlap(array, goal):
                raise ValueError(f"{out_name} must not overlap {name} in memory")


def _moved(array: Any, from_device: bool) -> Any:
    """Copy an array from the device to the host, or from the host to the device."""
    cuda = load("cuda")
    return cuda.to_host(array) if from_device else cuda.from_host(array)


def _execute(engine: Any, plan: Plan, sources: list[Operand], arrays: list[Any], results: list[Any]) -> None:
    """Run the steps of a plan: the first takes all inputs, each further one what the one before made."""
    if plan.is_empty:
        return
    if not plan.steps:
        engine.copy(arrays[0], results[0])
        return
    current = [*map(engine.words, arrays, map(_dtype, sources))]
    *steps, last = engine.joined(plan.steps)
    for step in steps:
        between = [engine.scratch(step.shape_out, step.result)]
        engine.run_step(step, current, between)
        current = between
    goals = [*map(engine.words, results, plan.dtypes)]
    engine.run_step(last, current, goals)


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
