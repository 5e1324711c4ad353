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
    """What stands for a call with arguments that cannot be written as bytes, and the call itself."""

    call: tuple[Any, Any]


def _bytes(inputs: tuple[tuple[Any, Any], ...], arguments: list[Any]) -> bytes:
    """Return a call as bytes: 2, 2.0 and True are equal, but not the same argument."""
    try:
        return marshal.dumps((inputs, arguments), 2)  # from version 3 on, equal arguments may differ in their bytes
    except ValueError:  # an enumeration, or something that is no argument: the plan will say so
        call = _Unwritten(repr((inputs, arguments)).encode())
        call.call = inputs, arguments
        return call


def cached(plan: Callable[..., Plan]) -> Callable[[bytes], Plan]:
    """Return `plan` with a memory of its results, for `planned`."""

    @lru_cache(maxsize=256)
    def remembered(call: bytes) -> Plan:
        inputs, arguments = call.call if isinstance(call, _Unwritten) else marshal.loads(call)
        return plan(*chain.from_iterable(inputs), *arguments)

    return remembered


_PLAIN = frozenset((type(None), bool, int, float, str))


def plain(value: Any) -> Any:
    """Return arrays, NumPy's scalars and lists as Python's numbers and tuples, all the way down."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    return plain(value.tolist()) if hasattr(value, "tolist") else value


def planned(plan: Callable[[bytes], Plan], arguments: tuple[Any, ...], *inputs: tuple[Any, Any]) -> Plan:
    """Return the plan for the (shape, dtype) of every input and the arguments of a call, in this order."""
    return plan(_bytes(inputs, [value if type(value) in _PLAIN else plain(value) for value in arguments]))
