"""Threads that help a caller.

None of Numba's threading layers fits a library: omp ends a forked child, workqueue aborts when two Python
threads enter it, tbb is one more dependency. A pool of ordinary threads is safe in all these cases.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from threading import RLock, Thread, current_thread
from typing import Any
from weakref import finalize

from gpu_upsample.cpu.processors import processor_now
from gpu_upsample.cpu.team import dismiss, help_out, keep_off, look_for, looks_per_second, new_memory

# Seconds in which a thread looks for what it waits for before it sleeps: longer than it takes to wake up, and than a
# caller takes between two calls that follow one another.
_AWAKE_SECONDS = 150e-6
_SECONDS_TO_END = 1.0


def _end(memory: Any, threads: list[Thread]) -> None:
    """End threads, in good order even at the end of the program."""
    dismiss(memory)
    for thread in threads:
        while thread.is_alive() and thread is not current_thread():
            thread.join(_SECONDS_TO_END)
            dismiss(memory)  # one that was about to fall asleep the time before


class Pool:
    """Threads that work beside a caller's, on other processors than its own. They start with the first work for them.

    Linux wakes a thread on the processor of the one that wakes it, if it ran there before or all others were busy a
    moment ago. There one waits for the other, often until the work is done, while another processor has none.

    Parameters
    ----------
    workers : int
        How many there are beside the caller's.
    each : int
        Bytes of work that make a thread worth its while.

    Attributes
    ----------
    memory : ndarray of int64
        What they share with their callers (see `team`).
    """

    def __init__(self, workers: int, each: int) -> None:
        ask = processor_now()
        address = ctypes.cast(ask, ctypes.c_void_p).value if ask else 0
        self.memory = new_memory(workers, each, address or 0)
        self._threads: list[Thread] = []
        self._workers = workers
        self._starting = RLock()  # a signal's handler may call, too
        finalize(self, _end, self.memory, self._threads)

    def _start(self) -> None:
        look_for(self.memory, int(_AWAKE_SECONDS * looks_per_second()))
        with self._starting:
            while len(self._threads) < self._workers:
                i = len(self._threads)
                thread = Thread(target=help_out, args=(self.memory, i), name=f"gpu_upsample_{i}", daemon=True)
                self._threads.append(thread)
                try:
                    thread.start()
                except RuntimeError:  # there may be no more threads, at the end of the program none
                    self._threads.remove(thread)
                    return

    def stand_apart(self) -> None:
        """Start the threads, and let them keep off the processor that the caller runs on, until one calls elsewhere."""
        self._start()
        ask = processor_now()
        here = ask() if ask else 0
        others = os.sched_getaffinity(0) - {here} if ask else {here}
        with suppress(OSError):  # the process may not move threads, or one has just ended
            for thread in self._threads if ask and others else ():
                if thread.native_id:
                    os.sched_setaffinity(thread.native_id, others)
        if others:  # else the next call asks again whether there are any
            keep_off(self.memory, here)
