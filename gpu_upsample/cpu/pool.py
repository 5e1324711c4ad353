"""Threads that help a caller.

None of Numba's threading layers fits a library: omp ends a forked child, workqueue aborts when two Python
threads enter it, tbb is one more dependency. A pool of ordinary threads is safe in all these cases.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from threading import Thread, current_thread
from typing import Any
from weakref import finalize

from gpu_upsample.cpu.processors import processor_now
from gpu_upsample.cpu.team import dismiss, help_out, lead, looks_per_second, new_memory

# Seconds in which a thread looks for what it waits for before it sleeps: longer than it takes to wake up, and than a
# caller takes between two calls that follow one another.
_AWAKE_SECONDS = 150e-6


def _end(memory: Any, threads: list[Thread]) -> None:
    """End threads, in good order even at the end of the program."""
    dismiss(memory)
    for thread in threads:
        if thread.is_alive() and thread is not current_thread():
            thread.join()


class Pool:
    """Threads that work beside a caller's, on other processors than its own.

    Linux wakes a thread on the processor of the one that wakes it, if it ran there before or all others were busy a
    moment ago. There one waits for the other, often until the work is done, while another processor has none.
    """

    def __init__(self, workers: int) -> None:
        self._looks = int(_AWAKE_SECONDS * looks_per_second())
        self._memory = new_memory(workers)
        self._threads = [
            Thread(target=help_out, args=(self._memory, i, self._looks), name=f"gpu_upsample_{i}", daemon=True)
            for i in range(workers)
        ]
        self._apart = -1, set[int]()
        finalize(self, _end, self._memory, self._threads)
        with suppress(RuntimeError):  # there may be no more threads, at the end of the program none
            for thread in self._threads:
                thread.start()

    def share(self, helpers: int, function: int, words: Any, bounds: Any, scratch: Any, pitch: int) -> bool:
        """Do a work with the help of other threads; return whether there was room for one more work.

        The parameters are those of `team.lead`.
        """
        return bool(lead(self._memory, helpers, function, words, bounds, scratch, pitch, self._looks))

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
