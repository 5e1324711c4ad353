"""Shares the work of kernels that release the GIL between threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

from gpu_upsample.cpu.mailbox import Mailbox
from gpu_upsample.cpu.pool import pool_of
from gpu_upsample.cpu.processors import num_threads

# Bytes of work that make a thread worth its while. Below twice as many, the caller does all.
_EACH_BYTES = 5 << 18
# A thread with fewer bytes than this does them in one part: between two parts, it waits until no other holds the GIL.
_WHOLE_BYTES = 1 << 25
# Other work begins with one long part for each thread, up to so many times as long as a short one; two short ones for
# each follow, so that all end at about the same time.
_LONG = 6


@lru_cache
def _parts(rows: int, threads: int, least: int, whole: bool) -> tuple[tuple[int, int], ...]:
    """Return where the parts of some rows begin and end, none shorter than `least` if there are so many rows."""
    most = max(1, rows // least)
    long = min(_LONG, most // threads - 2)
    if whole:
        shares = [1] * min(threads, most)
    elif long < 1:
        shares = [1] * (most // threads * threads or most)
    else:
        shares = [long] * threads + [1] * (2 * threads)
    return tuple(pairwise(rows * done // sum(shares) for done in accumulate(shares, initial=0)))


class _Work:
    """Work in parts, which a caller and those that help it take as they go."""

    def __init__(self, do: Callable[[int, int], None], parts: Sequence[tuple[int, int]], helpers: int) -> None:
        self._do, self._parts = do, [*parts[::-1]]
        self._helpers, self._places = helpers, [None] * helpers
        self._ended: list[BaseException | None] = []
        self._bell = Mailbox[None]()

    def take(self) -> None:
        """Do parts as long as there are any: whoever is held up leaves them to the others."""
        while self._parts:
            try:
                part = self._parts.pop()
            except IndexError:  # another thread took the last one
                return
            try:
                self._do(*part)
            except BaseException:
                self._parts.clear()
                raise

    def _take_place(self) -> bool:
        """Take one of the places of those that help, if there is one left."""
        try:
            self._places.pop()
        except IndexError:
            return False
        return True

    def help(self) -> None:
        """Do parts beside the caller, unless it has ended."""
        if not self._take_place():
            return
        try:
            self.take()
        except BaseException as error:  # noqa: BLE001 (the caller raises it)
            self._ended.append(error)
        else:
            self._ended.append(None)
        self._bell.put(None)

    def end(self) -> None:
        """Wait until nobody is at work any more, and raise what those that help have raised."""
        # Who has not woken up by now finds no place; the others may still be writing.
        at_work = sum(not self._take_place() for _ in range(self._helpers))
        interruption = None
        while len(self._ended) < at_work:
            try:
                self._bell.get()
            except BaseException as error:  # noqa: BLE001 (by the keyboard: it is raised when nobody writes any more)
                self._parts.clear()
                interruption = error
        del self._do  # who wakes up later must not keep its arrays
        errors = [error for error in (interruption, *self._ended) if error]
        if errors:
            try:
                raise errors[0]
            finally:
                self._ended.clear()
                del errors, interruption  # which the error's traceback would keep, and they the error


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
    most = num_threads() if size >= 2 * _EACH_BYTES else 1
    threads = min(most, size // _EACH_BYTES)
    parts = _parts(rows, threads, least, size < _WHOLE_BYTES * threads) if threads > 1 else ()
    if len(parts) < 2:
        work(0, rows)
        return
    pool = pool_of(most - 1)  # the caller's thread takes a share
    pool.keep_off()
    helpers = min(threads, len(parts)) - 1
    shared = _Work(work, parts, helpers)
    try:
        for _ in range(helpers):
            pool.ask(shared.help)
        shared.take()
    finally:
        shared.end()
