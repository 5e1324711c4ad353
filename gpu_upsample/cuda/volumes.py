"""Two steps of a plan run as one, along three axes: what lies between them is never written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.dtypes import STORAGE
from gpu_upsample.plan.steps import FilterStep, Plan, Shape4
from gpu_upsample.plan.taps import Taps

# Lines that an output line needs at most: the sums along the columns of each are formed again for each output line.
_LINES = 4
# Unfinished rows that a thread keeps at most. With more, it would sum a source row again for each output row.
_MAX_UNFINISHED_ROWS = 4
# Bytes of a scalar of the result, at least. Of narrower ones, it takes no longer to write and read the sums between two
# steps than to load and convert the samples again for each line.
_SCALAR_BYTES = 2
# Multiply-adds that are repeated for each sum that is not written and read between two steps, at most, by the type of
# the sum: with the loads and conversions of their samples, more would take longer than that.
_MAX_REPEATED = {"float32": 8, "float64": 4}


@dataclass(frozen=True, eq=False)
class VolumeStep(FilterStep):
    """Weighted sums along the columns, then across the lines, then along the rows.

    A row of a plane is a matrix: lines of columns. `shape` tells of the planes, the rows, the columns of a line and the
    scalars of a column.

    Attributes
    ----------
    lines : Taps
        The windows across the lines of a row.
    """

    lines: Taps = field(kw_only=True)

    @property
    def shape_out(self) -> Shape4:
        """Folded shape of the result, each of whose rows holds all of its lines."""
        planes, rows, columns, inner = super().shape_out
        return planes, rows, self.lines.n_out * columns, inner


def joined(plan: Plan) -> tuple[Any, ...]:
    """Return the steps of a plan as this backend runs them: some of them two in one."""
    return plan.steps if len(plan.steps) == 1 else _joined(plan)


@kept
def _joined(plan: Plan) -> tuple[Any, ...]:
    found: list[Any] = []
    for step in plan.steps:
        volume = _volume(found[-1], step) if found else None
        if volume is None:
            found.append(step)
        else:
            found[-1] = volume
    return tuple(found)


def _volume(first: Any, second: Any) -> VolumeStep | None:
    """Return two steps in one, or None if they are better run one by one, or must be."""
    if type(first) is not FilterStep or type(second) is not FilterStep or not _keeps_sums(first, second):
        return None
    if second.result.itemsize < _SCALAR_BYTES:
        return None
    (planes, rows, _, _), (images, _, columns, inner) = second.shape, first.shape
    if first.rows is None or first.columns is None or second.rows is None or second.columns is not None:
        return None
    if images != planes * rows or min(second.rows.width, second.rows.overlap) > _MAX_UNFINISHED_ROWS:
        return None
    if first.rows.width > _LINES or repeated(first.columns, first.rows) > _MAX_REPEATED[second.result.accumulator]:
        return None
    shape = planes, rows, columns, inner
    # All steps of a plan have the same constant around them.
    return VolumeStep(shape, second.rows, first.columns, first.source, second.result, first.fill, lines=first.rows)


def _keeps_sums(first: FilterStep, second: FilterStep) -> bool:
    """Return whether sums stay what they are between two steps."""
    return first.result is second.source is STORAGE[second.result.accumulator] and second.result.name in STORAGE


def repeated(columns: Taps, lines: Taps) -> float:
    """Return how many multiply-adds more are needed for each scalar that is not written between two steps.

    Sums along the columns are kept from one output line to the next by a step of their own, but not by a volume's.
    """
    return columns.width * (lines.width - lines.n_in / lines.n_out)
