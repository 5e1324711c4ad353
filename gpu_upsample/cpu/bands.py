"""Two steps run as one, on a band of rows at a time: what lies between them stays in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gpu_upsample.plan.dtypes import Storage
from gpu_upsample.plan.steps import FilterStep, Shape4


@dataclass(frozen=True, eq=False)
class Bands:
    """Sums along rows, then along the columns of each of their results."""

    down: FilterStep
    across: FilterStep

    @property
    def shape_out(self) -> Shape4:
        """Folded shape of the result."""
        return self.across.shape_out

    @property
    def result(self) -> Storage:
        """How the result is stored."""
        return self.across.result


@lru_cache(maxsize=256)
def joined(steps: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the steps of a plan as this backend runs them: some of them two in one."""
    found: list[Any] = []
    for step in steps:
        if found and _follows(found[-1], step):
            found[-1] = Bands(found[-1], step)
        else:
            found.append(step)
    return tuple(found)


def _follows(above: Any, step: Any) -> bool:
    """Return whether every row of a step needs no more than the same row of the one above."""
    if not (isinstance(above, FilterStep) and isinstance(step, FilterStep)):
        return False
    _, _, columns_above, inner_above = above.shape_out
    _, _, columns, inner = step.shape
    return above.columns is None and step.rows is None and columns_above * inner_above == columns * inner
