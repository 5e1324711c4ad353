"""A kernel with those of its arguments that stay the same from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import Words, type_of
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.record import ARGUMENTS, COST, FUNCTION, LEAST, ROOM, ROWS
from gpu_upsample.cpu.threads import run

_NOTHING = np.empty(0, np.uint8)
_MOST_COST = 1 << 62


def _record(function: int, words: list[int]) -> Any:
    record = np.zeros(ARGUMENTS + len(words), np.int64)
    record[FUNCTION], record[ARGUMENTS:] = function, words
    return record


def _set_head(record: Any, room: int, rows: int, cost: int, least: int) -> Any:
    record[ROOM], record[ROWS], record[COST], record[LEAST] = room, rows, min(cost, _MOST_COST), least
    return record


def record_of(kernel: Kernel, arguments: tuple[Any, ...], rows: int, cost: int, least: int) -> Any:
    """Return the record of a work.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    arguments : tuple
        What it takes: contiguous arrays, which the caller keeps, `Room`, `Tables`, integers, scalars of NumPy's, and
        tuples of such.
    rows : int
        Number of rows.
    cost : int
        Bytes that the work moves in all, more where they are read several times.
    least : int
        Rows that a part should have at least.
    """
    packed = Words()
    kinds = tuple(map(packed.add, arguments))
    return _set_head(_record(kernel.address(type_of(kinds)), packed.words), packed.room, rows, cost, least)


class Launch:
    """A kernel whose last arguments are packed once, and the others for each call.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    same : tuple
        Those arguments that stay the same; as for `record_of`.
    """

    def __init__(self, kernel: Kernel, *same: Any) -> None:
        packed = Words()
        self._kernel = kernel
        self._same = same  # of whose arrays the words hold addresses alone
        self._kinds = tuple(map(packed.add, same))
        self._words, self._room = packed.words, packed.room
        self._blanks: dict[Any, Any] = {}

    def record(self, others: tuple[Any, ...], rows: int, cost: int, least: int) -> Any:
        """Return the record of a work, given the first arguments; the other parameters are those of `record_of`."""
        packed = Words(self._room)
        kinds = tuple(map(packed.add, others))
        if kinds not in self._blanks:
            function = self._kernel.address(type_of(kinds + self._kinds))
            self._blanks[kinds] = _record(function, packed.words + self._words)
        record = self._blanks[kinds].copy()
        record[ARGUMENTS : ARGUMENTS + len(packed.words)] = packed.words
        return _set_head(record, packed.room, rows, cost, least)

    def run(self, others: tuple[Any, ...], rows: int, cost: int, least: int) -> None:
        """Do all rows of a work; the parameters are those of `record`."""
        run(self.record(others, rows, cost, least), _NOTHING, _NOTHING)
