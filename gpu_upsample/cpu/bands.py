"""Two steps run as one, on a band of rows at a time: what lies between them stays in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.dtypes import Storage
from gpu_upsample.plan.steps import FilterStep, Plan, Shape4

# What lies between the steps of a band should fit into the second cache, or nearly so.
_BETWEEN_BYTES = 1 << 22
# Rows of a band at least, or about, where row r of the second step needs row r of the first alone: as many as are
# turned into columns at once.
_FEWEST_ROWS = 16


@dataclass(frozen=True, eq=False)
class Bands:
    """Two steps, of which a few rows of the second need no more than a few rows of the first.

    Attributes
    ----------
    first, second : FilterStep
        The steps. The first does not sum along columns alone, so that it is never run on rows turned into columns.
    rows : tuple of int
        Rows of their results in a band.
    """

    first: FilterStep
    second: FilterStep
    rows: tuple[int, int]

    @property
    def shape_out(self) -> Shape4:
        """Folded shape of the result."""
        return self.second.shape_out

    @property
    def result(self) -> Storage:
        """How the result is stored."""
        return self.second.result


def joined(plan: Plan) -> tuple[Any, ...]:
    """Return the steps of a plan as this backend runs them: some of them two in one."""
    return plan.steps if len(plan.steps) == 1 else _joined(plan, num_threads())


@kept
def _joined(plan: Plan, threads: int) -> tuple[Any, ...]:
    found: list[Any] = []
    for step in plan.steps:
        rows = _rows_of_band(found[-1], step, threads) if found else None
        if rows:
            found[-1] = Bands(found[-1], step, rows)
        else:
            found.append(step)
    return tuple(found)


def _rows_of_band(first: Any, second: Any, threads: int) -> tuple[int, int] | None:
    """Return how many rows of the results of two steps make a band, or None if the steps are better run one by one."""
    if not (isinstance(first, FilterStep) and isinstance(second, FilterStep)):
        return None
    planes, rows, columns, inner = first.shape_out
    if second.rows is None:  # a row of the one is a row of the other
        alike = first.columns is None and columns * inner == prod(second.shape[2:])
        every, row_bytes = planes * rows, columns * inner * first.result.itemsize
        if not alike or every < _FEWEST_ROWS * threads:
            return None
        most = max(_FEWEST_ROWS, _BETWEEN_BYTES // row_bytes)
        bands = threads * -(-every // (threads * most))
        height = -(-every // bands)
        return height, height
    whole = second.shape[0]  # so many planes need nothing of one another
    if first.rows is None or whole < max(2, threads) or planes % whole:
        return None
    held = prod(first.shape_out) // whole * first.result.itemsize
    return (planes * rows // whole, second.shape_out[1]) if held <= _BETWEEN_BYTES else None
