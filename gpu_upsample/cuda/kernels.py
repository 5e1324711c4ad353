"""What the CUDA kernels share. Each kernel is written once, against a machine of primitives (see `machine.py`).

Of most kernels, a thread owns a few scalars of an output row, its lanes, and walks down a strip of rows. So what it
alone must know about its columns it reads once, and every source row is filtered along the row once per strip.

Compile-time constants are in capitals. Nothing here writes to shared memory or waits at a barrier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

THREADS = 128
"""Threads of a block."""

BLOCKS = 8
"""Blocks that a multiprocessor should hold at once, of most kernels: a thread has 64 registers then."""


def index_of(spec: Any) -> Any:
    """Return the type of the flat indices of a specialisation, which says whether they are `wide`."""
    return types.uint64 if spec.wide else types.uint32


def word_of(spec: Any) -> Any:
    """Return the type of the words of a specialisation by size."""
    return getattr(types, f"uint{8 * spec.itemsize}")


def stored_index_of(spec: Any) -> Any:
    """Return the type of the indices of samples, as pooling stores them, that a kernel reads."""
    return getattr(types, spec.indices)


def min_blocks_of(spec: Any) -> int:
    """Return how many blocks a multiprocessor should hold at once: the second of CUDA's launch bounds."""
    return getattr(spec, "blocks", BLOCKS)


def build_split(machine: Any, index: Any) -> Callable[..., Any]:
    """Return the function that takes a flat index apart."""
    quotient = machine.quotient

    @machine.inline
    def split(place, length):
        """Return the quotient and the remainder of a flat index."""
        whole = quotient(place, length)
        return whole, index(place - index(whole * length))

    return split


def build_number(machine: Any, index: Any) -> Callable[[], Any]:
    """Return the function that says the thread's number among all threads."""
    mad, block, thread = machine.mad, machine.block, machine.thread

    @machine.inline
    def number():
        return mad(index(block()), index(THREADS), index(thread()))

    return number


def build_strip(machine: Any, index: Any) -> Callable[..., Any]:
    """Return the function that says which rows a thread owns."""
    plus, split = machine.plus, build_split(machine, index)

    @machine.inline
    def strip_of(unit, strips, strip, rows_out):
        """Return the plane of a strip by its number, its first row and the one behind it.

        Threads are numbered along a row, strip by strip: so a block has no idle threads beyond the end of a short
        row. A thread behind the last strip gets a plane behind the last one: it has nothing to do.
        """
        plane, above = split(unit, index(strips))
        first = index(above * index(strip))
        return plane, first, min(index(rows_out), plus(first, index(strip)))

    return strip_of
