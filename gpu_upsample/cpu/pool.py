"""Threads that help a caller.

None of Numba's threading layers fits a library: omp ends a forked child, workqueue aborts when two Python
threads enter it, tbb is one more dependency. A pool of ordinary threads is safe in all these cases.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from threading import Thread, current_thread
from weakref import finalize

from gpu_upsample.cpu.mailbox import Mailbox, prepare
from gpu_upsample.cpu.processors import processor_now

Work = Callable[[], None]


def _serve(mailbox: Mailbox[Work | None]) -> None:
    """Do what is asked for, until that is nothing, which the next thread is told."""
    while True:
        work = mailbox.get()
        if work is None:
            mailbox.put(None)
            return
        work()
        del work  # it holds a caller's arrays


def _dismiss(mailbox: Mailbox[Work | None], threads: list[Thread]) -> None:
    """End threads, in good order even at the end of the program, and those that are being started."""
    mailbox.put(None)
    for thread in tuple(threads):
        if thread is not current_thread():
            thread.join()
    threads.clear()


class Pool:
    """Threads that work beside a caller's, on other processors than its own.

    Linux wakes a thread on the processor of the one that wakes it, if it ran there before or all others were busy a
    moment ago. There one waits for the other, often until the work is done, while another processor has none.
    """

    def __init__(self, workers: int) -> None:
        self._mailbox: Mailbox[Work | None] = Mailbox()
        self._threads: list[Thread] = []
        self._apart = -1, set[int]()
        finalize(self, _dismiss, self._mailbox, self._threads)
        prepare()
        with suppress(RuntimeError):  # there may be no more threads, at the end of the program none
            for i in range(workers):
                thread = Thread(target=_serve, args=(self._mailbox,), name=f"gpu_upsample_{i}", daemon=True)
                thread.start()
                self._threads.append(thread)

    def ask(self, work: Work) -> None:
        """Let a thread of the pool do some work, if there is one."""
        if self._threads:
            self._mailbox.put(work)

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
