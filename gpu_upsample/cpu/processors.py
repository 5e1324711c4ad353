"""The processors that the CPU backend may use."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from operator import index
from typing import Any, SupportsIndex

_MOST = 1024  # each has memory of its own, and more than processors are of no use
_ACCEPTED = f"must be an integer from 1 to {_MOST}"
_block: ContextVar[int | None] = ContextVar("gpu_upsample_threads", default=None)


@contextmanager
def use_threads(number: SupportsIndex) -> Iterator[None]:
    """Set how many threads share the work of each call on the CPU in a ``with`` block, in its own thread or task.

    No result depends on it. Outside such blocks, it is what the environment variable ``GPU_UPSAMPLE_NUM_THREADS`` says,
    or as many as the processors that the process may use; both are read once, and again in a forked child.

    Parameters
    ----------
    number : int
        How many threads, with that of the caller: from 1 to 1024.

    Raises
    ------
    ValueError, TypeError
        If `number` is no integer, or none from 1 to 1024.

    Examples
    --------
    >>> import numpy as np, gpu_upsample as gu
    >>> with gu.use_threads(1):
    ...     gu.resize(np.array([0.0, 1.0]), 4)
    array([0.  , 0.25, 0.75, 1.  ])
    """
    try:
        asked = index(number)
    except TypeError:
        raise TypeError(f"number {_ACCEPTED}, got {number!r}") from None
    if not 1 <= asked <= _MOST:
        raise ValueError(f"number {_ACCEPTED}, got {number!r}")
    token = _block.set(asked)
    try:
        yield
    finally:
        _block.reset(token)


def num_threads() -> int:
    """Return how many threads share the work of a call."""
    return _block.get() or usual_threads()


@cache
def usual_threads() -> int:
    """Return how many threads share the work where no block says it.

    It is asked once: to look into the environment takes long beside a small call.
    """
    asked = os.environ.get("GPU_UPSAMPLE_NUM_THREADS")
    if not asked:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or len(asked) > 9 or not 1 <= int(asked) <= _MOST:
        raise ValueError(f"GPU_UPSAMPLE_NUM_THREADS {_ACCEPTED}, got {asked!r}")
    return int(asked)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=usual_threads.cache_clear)  # a child may be given other processors


@cache
def processor_now() -> Any:
    """Return the function of C that tells on which processor its caller runs; None where threads cannot be moved."""
    return getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None
