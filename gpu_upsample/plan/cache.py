"""A memory of plans: planning costs more than launching."""

from __future__ import annotations

import marshal
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan


class _Unwritten(bytes):
    """What stands for arguments that cannot be written as bytes, and these themselves."""

    arguments: tuple[Any, ...]


_PLAIN = frozenset((type(None), bool, int, float, str))


def plain(value: Any) -> Any:
    """Return arrays, NumPy's scalars and lists as Python's numbers and tuples, all the way down."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    return plain(value.tolist()) if hasattr(value, "tolist") else value


def written(arguments: tuple[Any, ...]) -> bytes:
    """Return the arguments of a call as bytes: 2, 2.0 and True are equal, but not the same argument."""
    given = arguments if _PLAIN.issuperset(map(type, arguments)) else tuple(map(plain, arguments))
    try:
        return marshal.dumps(given, 2)  # from version 3 on, equal arguments may differ in their bytes
    except ValueError:  # an enumeration, or something that is no argument: the plan will say so
        unwritten = _Unwritten(repr(given).encode())
        unwritten.arguments = given
        return unwritten


Planner = Callable[[tuple[tuple[Any, Any], ...], bytes], "Plan"]
"""Returns the plan for the (shape, dtype) of every input and the written arguments of a call."""


def cached(plan: Callable[..., Plan], inputs: int = 0) -> Planner:
    """Return the planner that calls `plan` with shape and dtype of every input and the arguments, and remembers it.

    Where `inputs` are more than a call has, those that it lacks, the last ones, are None.
    """

    @lru_cache(maxsize=256)
    def remembered(given: tuple[tuple[Any, Any], ...], call: bytes) -> Plan:
        arguments = call.arguments if isinstance(call, _Unwritten) else marshal.loads(call)
        absent = (None, None) * (inputs - len(given))
        return plan(*chain.from_iterable(given), *absent, *arguments)

    return remembered
