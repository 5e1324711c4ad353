"""Threads that help a caller.

None of Numba's threading layers fits a library: omp ends a forked child, workqueue aborts when two Python
threads enter it, tbb is one more dependency. A pool of ordinary threads is safe in all these cases.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from queue import SimpleQueue
from threading import Thread, current_thread
from time import sleep
from typing import Any
from weakref import finalize

from gpu_upsample.cpu.processors import processor_now
from gpu_upsample.cpu.team import (
    ASLEEP,
    DISMISSED,
    LOOKING,
    WORKS,
    help_out,
    lead,
    looks_per_second,
    memory,
)

# Seconds in which a thread looks for what it waits for before it sleeps: longer than it takes to wake up, and than a
# caller takes between two calls that follow one another.
_AWAKE_SECONDS = 150e-6
# Seconds between two looks of one that has waited for longer.
_NAP_SECONDS = 50e-6


def _serve(shared: Any, bell: SimpleQueue[None]) -> None:
    """Help whenever the bell rings, until nobody is to help any more."""
    looks = int(_AWAKE_SECONDS * looks_per_second())
    help_out(shared, looks, 0)
    while not shared[DISMISSED]:
        bell.get()
        help_out(shared, looks, 1)


def _dismiss(shared: Any, bell: SimpleQueue[None], workers: int, threads: list[Thread]) -> None:
    """End threads, in good order even at the end of the program, and those that are being started."""
    shared[DISMISSED] = 1
    for _ in range(workers):
        bell.put(None)
    for thread in tuple(threads):
        if thread is not current_thread():
            thread.join()
    threads.clear()


def _wait(work: tuple[Any, ...]) -> None:
    """Wait until nobody is at work for a caller any more, even if that is interrupted."""
    interruption = None
    while True:
        try:
            if lead(*work, False):
                break
            sleep(_NAP_SECONDS)
        except BaseException as error:  # noqa: BLE001 (by the keyboard: raised when nobody writes any more)
            interruption = error
    if interruption:
        try:
            raise interruption
        finally:
            del interruption  # which its traceback would keep


class Pool:
    """Threads that work beside a caller's, on other processors than its own.

    Linux wakes a thread on the processor of the one that wakes it, if it ran there before or all others were busy a
    moment ago. There one waits for the other, often until the work is done, while another processor has none.
    """

    def __init__(self, workers: int) -> None:
        self._shared = memory()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._numbers = list(range(WORKS))
        self._apart = -1, set[int]()
        finalize(self, _dismiss, self._shared, self._bell, workers, self._threads)
        self._looks = int(_AWAKE_SECONDS * looks_per_second())
        with suppress(RuntimeError):  # there may be no more threads, at the end of the program none
            for i in range(workers):
                thread = Thread(target=_serve, args=(self._shared, self._bell), name=f"gpu_upsample_{i}", daemon=True)
                thread.start()
                self._threads.append(thread)

    def _wake(self, helpers: int) -> None:
        """Wake as many sleepers as are missing beside those that look for work."""
        for _ in range(min(helpers - int(self._shared[LOOKING]), int(self._shared[ASLEEP]))):
            self._bell.put(None)

    def share(self, helpers: int, function: int, words: Any, bounds: Any, scratch: Any, pitch: int) -> bool:
        """Do a work with the help of up to so many threads; return whether there was room for one more work.

        The parameters are those of `team.lead`.
        """
        try:
            number = self._numbers.pop()
        except IndexError:
            return False
        work = self._shared, number, helpers, function, words, bounds, scratch, pitch, self._looks
        over = False
        try:
            over = lead(*work, True)
            if not over:
                self._wake(helpers)
                over = lead(*work, False)
        finally:
            if not over:
                _wait(work)  # whoever helps writes into the arrays of the caller
            self._numbers.append(number)
        return True

    def keep_off(self) -> None:
        """Forbid the threads the processor that the caller runs on, until it runs on another one."""
        if (now := processor_now()) is None:
            return
        with suppress(OSError):  # the process may not move threads, or one has just ended
            here, allowed = apart = now(), os.sched_getaffinity(0)
            if apart == self._apart:
                return
            self._apart = apart
            others = allowed - {here}
            for thread in self._threads:
                if others and thread.native_id:
                    os.sched_setaffinity(thread.native_id, others)


pool_of = lru_cache(maxsize=1)(Pool)
"""The threads of this process, by their number."""


if hasattr(os, "register_at_fork"):
    # A forked child inherits the pool but none of its threads: let it build its own.
    os.register_at_fork(after_in_child=pool_of.cache_clear)
