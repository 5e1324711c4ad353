"""A memory of plans: planning costs more than launching."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gpu_upsample.plan.steps import Plan


class _Call(bytes):
    """The arguments of a call, by their bytes: 2, 2.0 and True are equal, but not the same argument."""

    arguments: tuple[Any, ...]


def _bytes(arguments: tuple[Any, ...]) -> bytes:
    try:
        return marshal.dumps(arguments, 2)  # from version 3 on, equal arguments may differ in their bytes
    except ValueError:  # something that is no argument: the plan will say so
        return repr(arguments).encode()


def cached(plan: Callable[..., Plan]) -> Callable[..., Plan]:
    """Return `plan` with a memory of its results."""

    @lru_cache(maxsize=256)
    def remembered(call: _Call) -> Plan:
        return plan(*call.arguments)

    def looked_up(*arguments: Any) -> Plan:
        call = _Call(_bytes(arguments))
        call.arguments = arguments
        return remembered(call)

    return looked_up


_PLAIN = frozenset((type(None), bool, int, float, str))


def plain(value: Any) -> Any:
    """Return arrays, NumPy's scalars and lists as Python's numbers and tuples, all the way down."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    return plain(value.tolist()) if hasattr(value, "tolist") else value


def planned(plan: Callable[..., Plan], arguments: tuple[Any, ...], *inputs: tuple[Any, Any]) -> Plan:
    """Return the plan for the (shape, dtype) of every input and the arguments of a call, in this order."""
    told = [value if type(value) in _PLAIN else plain(value) for value in arguments]
    return plan(*(part for given in inputs for part in given), *told)
