"""Numbers that are no row of the table of cases: each with what it stands for and its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.targets import Record, Target, at_least, at_most, said

Measured = tuple[float, Mapping[str, float]]
"""The number, and what it was found from."""


@dataclass(frozen=True)
class Figure:
    """A number to measure.

    Attributes
    ----------
    name : str
        What it is about: unique, and what ``--only`` searches.
    unit : str
        What it counts.
    measure : callable
        Finds it; called with whether the run is quick, so that the number means nothing.
    least, most : float, optional
        What is aimed at.
    """

    name: str
    unit: str
    measure: Callable[[bool], Measured]
    least: float | None = None
    most: float | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """What is aimed at."""
        bounds = ((at_least, self.least), (at_most, self.most))
        return tuple(bounded(self.unit, bound) for bounded, bound in bounds if bound is not None)

    def record(self, quick: bool) -> Record:
        """Measure, and return what was found, ready for JSON."""
        record: Record = {"name": self.name, "unit": self.unit}
        try:
            value, details = self.measure(quick)
        except Exception as error:  # noqa: BLE001 - the other numbers are still worth their time
            return record | {"error": said(error), "verdicts": [target.verdict(None) for target in self.targets]}
        verdicts = [target.verdict(value) for target in self.targets]
        return record | {"value": value, "details": dict(details), "verdicts": verdicts}
