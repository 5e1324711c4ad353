"""Threads for kernels that release the GIL.

None of Numba's threading layers fits a library: omp ends a forked child, workqueue aborts when two Python
threads enter it, tbb is one more dependency. A pool of ordinary threads is safe in all these cases.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from threading import Thread, current_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

# Work below this many bytes is done on the caller's thread: waking another costs more.
_INLINE_BYTES = 1 << 22
# Shares of the work: first a long part for each thread, then two short ones, so that all end at about the same time.
_LONG, _SHORT = 6, 1


def num_threads() -> int:
    """Return how many threads share the work: GPU_UPSAMPLE_NUM_THREADS, or the processors of this process."""
    asked = os.environ.get("GPU_UPSAMPLE_NUM_THREADS")
    if not asked:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(f"GPU_UPSAMPLE_NUM_THREADS must be a positive integer, got {asked!r}")
    return int(asked)


@cache
def _processor_now() -> Callable[[], int] | None:
    """Return what tells on which processor its caller runs; None where threads cannot be moved."""
    return getattr(ctypes.CDLL(None), "sched_getcpu", None) if hasattr(os, "sched_setaffinity") else None


class _Pool:
    """Threads that work beside a caller's, on other processors than its own.

    Linux wakes a thread on the processor of the one that wakes it, if it ran there before or all others were busy a
    moment ago. There one waits for the other, often until the work is done, while another processor has none.
    """

    def __init__(self, workers: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        threads: list[Thread] = []
        self._threads, self._apart = threads, (0, -1, set[int]())
        self._executor = ThreadPoolExecutor(workers, "gpu_upsample", lambda: threads.append(current_thread()))

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Let a thread of the pool do some work."""
        return self._executor.submit(work)

    def keep_off(self) -> None:
        """Forbid the threads the processor that the caller runs on, until it runs on another one."""
        if (now := _processor_now()) is None:
            return
        with suppress(OSError):  # the process may not move threads, or one has just ended
            number, here, allowed = apart = len(self._threads), now(), os.sched_getaffinity(0)
            if apart == self._apart:
                return
            self._apart = apart
            others = allowed - {here}
            for thread in self._threads[:number]:
                if others and thread.native_id and thread.is_alive():
                    os.sched_setaffinity(thread.native_id, others)


_pool = lru_cache(maxsize=1)(_Pool)


if hasattr(os, "register_at_fork"):
    # A forked child inherits the pool but none of its threads: let it build its own.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _edges(rows: int, threads: int, least: int) -> list[int]:
    """Return where the parts of some rows begin and end, none shorter than `least` if there are so many rows."""
    shares = [_LONG] * threads + [_SHORT] * (2 * threads)
    if rows // least < sum(shares):
        shares = [1] * max(1, min(2 * threads, rows // least))
    return [rows * done // sum(shares) for done in accumulate(shares, initial=0)]


def run_in_parts(work: Callable[[int, int], None], rows: int, size: int, least: int) -> None:
    """Call ``work(first, last)`` over parts of ``range(rows)``, on several threads where that pays.

    Parameters
    ----------
    work : callable
        Does the rows from first up to last, without the GIL.
    rows : int
        Number of rows.
    size : int
        Bytes that the work moves in all, more where they are read several times: what it costs.
    least : int
        Rows that a part should have at least.
    """
    threads = num_threads() if size > _INLINE_BYTES else 1
    parts = deque(pairwise(_edges(rows, threads, least))) if threads > 1 else ()
    if len(parts) < 2:
        work(0, rows)
        return

    def take() -> None:
        """Do parts as long as there are any: whoever is held up leaves them to the others."""
        while parts:
            try:
                part = parts.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                work(*part)
            except BaseException:
                parts.clear()
                raise

    pool = _pool(threads - 1)  # the caller's thread takes its share
    pool.keep_off()
    futures: list[Future[None]] = []
    with suppress(RuntimeError):  # at the end of the program no thread may be asked any more
        futures.extend(pool.submit(take) for _ in range(min(threads, len(parts)) - 1))
    try:
        take()
    finally:  # a thread that has not woken up by now finds nothing to do; the others may still be writing
        errors = [future.exception() for future in futures if not future.cancel()]
    for error in filter(None, errors):
        raise error
