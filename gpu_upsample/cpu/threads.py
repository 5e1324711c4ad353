"""Threads for kernels that release the GIL.

None of Numba's threading layers fits a library: omp ends a forked child, workqueue aborts when two Python
threads enter it, tbb is one more dependency. A pool of ordinary threads is safe in all these cases.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

# Work below this many bytes is done on the caller's thread: waking another costs more.
_INLINE_BYTES = 1 << 18


def num_threads() -> int:
    """Return how many threads share the work: GPU_UPSAMPLE_NUM_THREADS, or the processors of this process."""
    asked = os.environ.get("GPU_UPSAMPLE_NUM_THREADS")
    if asked is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(f"GPU_UPSAMPLE_NUM_THREADS must be a positive integer, got {asked!r}")
    return int(asked)


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="gpu_upsample")


if hasattr(os, "register_at_fork"):
    # A forked child inherits the pool but none of its threads: let it build its own.
    os.register_at_fork(after_in_child=_pool.cache_clear)


def run_in_parts(work: Callable[[int, int], None], rows: int, size: int, least: int) -> None:
    """Call ``work(first, last)`` over parts of ``range(rows)``, on several threads where that pays.

    Parameters
    ----------
    work : callable
        Does the rows from first up to last, without the GIL.
    rows : int
        Number of rows.
    size : int
        Bytes that the work touches in all.
    least : int
        Rows that a part should have at least.
    """
    threads = num_threads() if size > _INLINE_BYTES else 1
    parts = max(1, min(2 * threads, rows // least)) if threads > 1 else 1
    if parts == 1:
        work(0, rows)
        return
    edges = [rows * part // parts for part in range(parts + 1)]
    futures = [_pool(threads).submit(work, *edge) for edge in pairwise(edges[:-1])]
    work(edges[-2], rows)  # the caller's thread takes its share
    for future in futures:
        future.result()
