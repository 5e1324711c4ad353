"""Shares the rows of a work between threads."""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from gpu_upsample.cpu.pool import pool_of
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.team import alone
from gpu_upsample.cpu.vectors import BYTES

# Bytes of work that make a thread worth its while. Below twice as many, the caller does all.
_EACH_BYTES = 5 << 18
# There is one long part for each thread, up to so many times as long as a short one: the caller's at the beginning,
# those of the others at the end. Two short ones for each lie between, so that all end at about the same time.
_LONG = 6

_UINT8 = np.dtype(np.uint8)


@lru_cache
def _bounds(rows: int, threads: int, least: int) -> Any:
    """Return where the parts of some rows begin, and the end; none is shorter than `least` if there are so many."""
    most = max(1, rows // least)
    long = min(_LONG, most // threads - 2)
    shares = [1] * (most // threads * threads or most)
    if long >= 1:
        shares = [long] + [1] * (2 * threads) + [long] * (threads - 1)
    return np.array([rows * done // sum(shares) for done in accumulate(shares, initial=0)])


def run_in_parts(function: int, words: Any, room: int, rows: int, size: int, least: int) -> None:
    """Do all rows of a work, on several threads where that pays.

    Parameters
    ----------
    function : int
        Address of a kernel (see `compiled.Kernel`).
    words : ndarray of int64
        Its arguments.
    room : int
        Bytes of memory that a thread needs for itself.
    rows : int
        Number of rows.
    size : int
        Bytes that the work moves in all, more where they are read several times: what it costs.
    least : int
        Rows that a part should have at least.
    """
    if size >= 2 * _EACH_BYTES:
        most = num_threads()
        threads = min(most, size // _EACH_BYTES, rows // least)
        if threads > 1:
            bounds = _bounds(rows, threads, least)
            pool = pool_of(most - 1)  # the caller's thread takes a share
            pool.keep_off()
            if pool.share(threads - 1, function, words, bounds, np.empty(threads * room + BYTES, _UINT8), room):
                return
    alone(function, words, rows, np.empty(room + BYTES, _UINT8))
