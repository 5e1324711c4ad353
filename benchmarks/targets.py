"""What the project aims at: bounds on what a row measures, and whether it keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A bound.

    Attributes
    ----------
    of : str
        What is bounded: a peer's time in parts of ours, by the name of the peer; a key of `MEASURES`; or whatever
        number a figure of its own stands for.
    bound : float
        The bound.
    least : bool
        Whether it is a lower bound.
    """

    of: str
    bound: float
    least: bool

    def verdict(self, value: float | None) -> Record:
        """Return the bound, the value and whether it is kept; a value that should be there and is not keeps none."""
        if value is None or value != value:
            return {"of": self.of, "bound": self.bound, "least": self.least, "value": None, "met": False}
        met = value >= self.bound if self.least else value <= self.bound
        return {"of": self.of, "bound": self.bound, "least": self.least, "value": value, "met": met}


def at_least(of: str, bound: float) -> Target:
    """Return a lower bound."""
    return Target(of, bound, True)


def at_most(of: str, bound: float) -> Target:
    """Return an upper bound."""
    return Target(of, bound, False)


MEASURES: Mapping[str, Callable[[Record], float]] = {
    "copy": lambda record: float(record["copy_ratio"]),
    "floor": lambda record: float(record["floor_fraction"]),
    "µs": lambda record: 1e6 * float(record["ours"]["median"]),
}
"""What can be bounded in a case beside the peers: our time in parts of the copy's, the fraction of the memory's speed,
our time in microseconds."""


def judge(record: Record, targets: Iterable[Target]) -> list[Record]:
    """Return a verdict for every target of a case that can be judged.

    Parameters
    ----------
    record : dict
        What `compare.compare` found.
    targets : iterable of Target
        The targets of the case. One against a peer that does not take part, or refuses, is left out; one against a
        peer that computed something else is not met, nor is any if our own call failed.
    """
    targets = list(targets)
    if "error" in record:
        return [target.verdict(None) for target in targets]
    values = {name: entry.get("ratio") for name, entry in record["peers"].items() if entry["status"] != "fails"}
    values |= {name: measure(record) for name, measure in MEASURES.items()}
    return [target.verdict(values[target.of]) for target in targets if target.of in values]


def said(error: Exception) -> str:
    """Return an error as one line."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
