"""What threads hand to each other, as fast as it can be when the one that waits has not waited for long."""

from __future__ import annotations

from functools import cache
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Generic, TypeVar

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from gpu_upsample.cpu.compiled import compiled
from gpu_upsample.cpu.vectors import BYTES, X86, pointer, primitive

# Seconds in which a thread looks for what it waits for before it sleeps: longer than it takes to wake up, and than a
# caller takes between two calls that follow one another.
_AWAKE_SECONDS = 150e-6
# And seconds in which it looks on when that has come: who gave it holds the GIL for a moment still, and to wait for
# that is to sleep, too.
_MOMENT_SECONDS = 10e-6

_LINE = BYTES // 8
"""Where a counter lies in an array of twice as many: wherever that begins, nothing else shares the counter's line."""

Item = TypeVar("Item")


@primitive
def _seen(typingctx: Any, counter: Any) -> Any:
    """Return what a counter holds by now, after a moment in which the processor serves others."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if X86:
            pause = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), []), "llvm.x86.sse2.pause"
            )
            builder.call(pause, [])
        return builder.load_atomic(args[0], "acquire", counter.dtype.bitwidth // 8)

    return counter.dtype(counter), codegen


@compiled
def _look(counter: Any, before: Any, looks: Any, more: Any) -> Any:
    """Wait without the GIL, for a number of looks, until a counter has changed, and then for some more looks."""
    place = pointer(counter, _LINE)
    while looks > 0:
        looks -= 1
        if _seen(place) != before:
            looks = min(looks, more)


@cache
def _looks_per_second() -> float:
    """Return how often a thread looks in a second: processors differ much in how long they pause."""

    def seconds(looks: int) -> float:
        began = perf_counter()
        _look(np.zeros(2 * _LINE, np.int64), 0, looks, 0)
        return perf_counter() - began

    return 1000 / min(seconds(1000) for _ in range(4))  # the first time, it is compiled


def prepare() -> None:
    """Compile what waits before threads are started: if one of them did during a fork, the child would hang."""
    _looks_per_second()


class Mailbox(Generic[Item]):
    """A queue whose reader looks for the next item for a moment before it falls asleep.

    Who is asleep takes longer to wake up than much of the work here takes in all.
    """

    def __init__(self) -> None:
        self._items: SimpleQueue[Item] = SimpleQueue()
        self._counter = np.zeros(2 * _LINE, np.int64)

    def put(self, item: Item) -> None:
        """Give the next reader an item."""
        self._items.put(item)
        self._counter[_LINE] += 1

    def get(self) -> Item:
        """Return the next item, as soon as there is one."""
        before = self._counter[_LINE]
        if self._items.empty():
            often = _looks_per_second()
            _look(self._counter, before, int(_AWAKE_SECONDS * often), int(_MOMENT_SECONDS * often))
        return self._items.get()
