"""A memory of plans: planning costs more than launching."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gpu_upsample.plan.steps import Plan


def cached(plan: Callable[..., Plan]) -> Callable[..., Plan]:
    """Return `plan` with a memory of its results; 2, 2.0 and True are equal but not the same argument."""

    @lru_cache(maxsize=256)
    def remembered(kinds: Any, arguments: tuple[Any, ...]) -> Plan:
        return plan(*arguments)

    def looked_up(*arguments: Any) -> Plan:
        try:
            hash(arguments)
        except TypeError:  # not a valid argument: the plan says which
            return plan(*arguments)
        return remembered(_kinds(arguments), arguments)

    return looked_up


def _kinds(value: Any) -> Any:
    return tuple(map(_kinds, value)) if isinstance(value, tuple) else type(value)


def hashable(value: Any) -> Any:
    """Return sequences as tuples, all the way down, so that a plan can be looked up."""
    if isinstance(value, list | tuple):
        return tuple(map(hashable, value))
    return hashable(value.tolist()) if hasattr(value, "tolist") else value


def planned(plan: Callable[..., Plan], arguments: tuple[Any, ...], *inputs: tuple[Any, Any]) -> Plan:
    """Return the plan for the (shape, dtype) of every input and the arguments of a call, in this order."""
    return plan(*(part for given in inputs for part in given), *map(hashable, arguments))
