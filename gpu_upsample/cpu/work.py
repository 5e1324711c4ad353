"""A kernel with all that it takes beside the arrays of a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import Words, bytes_of, type_of
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.record import ARGUMENTS, COST, FUNCTION, GIVEN, LEAST, MOST_GIVEN, PLACES, ROOM, ROWS, SIZES
from gpu_upsample.cpu.threads import run

_MOST_COST = 1 << 62
_NOTHING = (np.empty(0, np.uint8),) * MOST_GIVEN

ROW_BYTES = 256
"""A row costs as much as to move so many bytes, however short it is."""


@dataclass(frozen=True, eq=False)
class Work:
    """What native code needs to run a kernel: made once per step.

    Attributes
    ----------
    held : tuple
        What the record holds addresses of.
    record : ndarray of int64
        All that it is told (see `record`).
    """

    held: tuple[Any, ...]
    record: Any

    def run(self, *arrays: Any) -> None:
        """Do all rows, on flat arrays: one for each `Given` among the arguments, of as many bytes."""
        run(self.record, *map(bytes_of, arrays), *_NOTHING[len(arrays) :])


def record_of(kernel: Kernel, arguments: tuple[Any, ...], rows: int, cost: int | None, least: int) -> Any:
    """Return the record of a work; the parameters are those of `work`."""
    packed = Words()
    kinds = tuple(map(packed.add, arguments))
    if len(packed.given) > MOST_GIVEN:
        raise ValueError(f"a call gives at most {MOST_GIVEN} arrays, not {len(packed.given)}")
    record = np.zeros(ARGUMENTS + len(packed.words), np.int64)
    record[FUNCTION], record[ROOM], record[ROWS] = kernel.address(type_of(kinds)), packed.room, rows
    moved = sum(size for _, size in packed.given) if cost is None else cost
    record[COST] = min(moved + rows * ROW_BYTES, _MOST_COST)
    record[LEAST], record[GIVEN] = least, len(packed.given)
    for i, (place, size) in enumerate(packed.given):
        record[PLACES + i], record[SIZES + i] = place, size
    record[ARGUMENTS:] = packed.words
    return record


def work(kernel: Kernel, *arguments: Any, rows: int, cost: int | None = None, least: int = 1) -> Work:
    """Return the work of a kernel.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    *arguments
        What it takes: `Given`, `Room`, contiguous arrays, `Tables`, integers, scalars of NumPy's, and tuples of such.
    rows : int
        Number of rows.
    cost : int, optional
        Bytes that the work moves in all, if not those of the arrays given: more where they are read several times.
    least : int
        Rows that a part should have at least.
    """
    return Work(arguments, record_of(kernel, arguments, rows, cost, least))
