"""The processors that the CPU backend may use."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any


@cache
def num_threads() -> int:
    """Return how many threads share the work: GPU_UPSAMPLE_NUM_THREADS, or the processors of this process.

    Both are asked for once: to look into the environment takes as long as to start a small work.
    """
    asked = os.environ.get("GPU_UPSAMPLE_NUM_THREADS")
    if not asked:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(f"GPU_UPSAMPLE_NUM_THREADS must be a positive integer, got {asked!r}")
    return int(asked)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=num_threads.cache_clear)  # a child may be given other processors


@cache
def processor_now() -> Any:
    """Return the function of C that tells on which processor its caller runs; None where threads cannot be moved."""
    return getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None
