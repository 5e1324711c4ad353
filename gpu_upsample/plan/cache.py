"""Memories: planning costs more than computing a small result, and tables may need more room than a large one."""

from __future__ import annotations

import marshal
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from functools import lru_cache, wraps
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan

F = TypeVar("F", bound=Callable[..., Any])

_MOST = 1 << 28
"""Bytes of all arrays that a memory may hold, by default. What backends keep with its results comes on top."""


# ---- the arguments of a call --------------------------------------------------------------------------------
class _Unwritten(bytes):
    """What stands for arguments that cannot be written as bytes: equal to nothing but itself."""

    arguments: tuple[Any, ...]
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


_PLAIN = frozenset((type(None), bool, int, float, str))


def _is_plain(value: Any) -> bool:
    """Say whether a value is a number or text of Python's own, or a tuple of these."""
    kind = type(value)
    return kind in _PLAIN or (kind is tuple and _PLAIN.issuperset(map(type, value)))


def has_items(value: Any) -> bool:
    """Say whether a value is a sequence or an iterator: no text, and nothing whose items have no order or names."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | AbstractSet)


def plain(value: Any) -> Any:
    """Return arrays, NumPy's scalars and whatever has items as Python's numbers and tuples, all the way down."""
    if _is_plain(value):
        return value
    if hasattr(value, "tolist") and not isinstance(value, type):
        return plain(value.tolist())
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, str):
        return str.__str__(value)
    return tuple(map(plain, value)) if has_items(value) else value


def written(arguments: tuple[Any, ...]) -> bytes:
    """Return the arguments of a call as bytes: 2, 2.0 and True are equal, but not the same argument."""
    is_written = _is_plain(arguments) or all(map(_is_plain, arguments))
    given = arguments if is_written else tuple(map(plain, arguments))
    try:
        return marshal.dumps(given, 2)  # from version 3 on, equal arguments may differ in their bytes
    except ValueError:  # something that is no argument: the plan will say so
        unwritten = _Unwritten()
        unwritten.arguments = given
        return unwritten


# ---- what is remembered -------------------------------------------------------------------------------------
def _clearable(function: Any, cache_clear: Callable[[], None]) -> Any:
    """Give a function the means to forget its results that ``functools.lru_cache`` gives."""
    function.cache_clear = cache_clear
    return function


def kept(function: F) -> F:
    """Remember the results of a function of a step, or of another part of a plan, as long as that is there."""
    name = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def recalled(owner: Any, *rest: Any) -> Any:
        try:
            return owner.__dict__[name][rest]
        except KeyError:
            results = owner.__dict__.setdefault(name, {})
            return results.setdefault(rest, function(owner, *rest))  # another thread may have been faster

    def cache_clear() -> None:
        nonlocal name
        name += "'"  # nobody asks for what is kept under the name of before

    made: F = _clearable(recalled, cache_clear)
    return made


@kept
def _nbytes_of_fields(value: Any) -> int:
    return sum(nbytes_of(getattr(value, field.name)) for field in fields(value))


def nbytes_of(value: Any) -> int:
    """Return the bytes of all arrays in a plan, or in a part of one.

    Examples
    --------
    >>> import numpy as np
    >>> nbytes_of((np.zeros(3), [1.0], np.zeros((2, 2), np.int8)))
    28
    """
    if _is_plain(value):
        return 0
    if isinstance(value, tuple):
        return sum(map(nbytes_of, value))
    if isinstance(nbytes := getattr(value, "nbytes", None), int):
        return nbytes
    return _nbytes_of_fields(value) if is_dataclass(value) else 0


class _Heavy(Exception):  # noqa: N818 - no error: the way past a memory that counts results
    """A result that is too large to be kept among the small ones."""

    def __init__(self, value: Any) -> None:
        self.value = value


def remembered(entries: int, most: int = _MOST) -> Callable[[F], F]:
    """Let a function of hashable arguments remember its last results.

    Of the small ones, whose arrays have less than their share of `most` bytes, so many `entries`; of the large ones,
    the very last, and others as long as all of them have no more than half of `most`.
    """

    def decorated(function: F) -> F:
        large: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        lock = Lock()

        @lru_cache(maxsize=entries)
        def small(*key: Any) -> Any:
            with lock:
                if key in large:
                    large.move_to_end(key)
                    raise _Heavy(large[key])
            value = function(*key)
            if nbytes_of(value) < most // entries:
                return value
            with lock:
                large[key] = value
                while len(large) > 1 and sum(map(nbytes_of, large.values())) > most // 2:
                    large.popitem(last=False)
            raise _Heavy(value)

        @wraps(function)
        def recalled(*key: Any) -> Any:
            try:
                return small(*key)
            except _Heavy as found:
                return found.value

        def cache_clear() -> None:
            small.cache_clear()
            large.clear()

        made: F = _clearable(recalled, cache_clear)
        return made

    return decorated


# ---- plans --------------------------------------------------------------------------------------------------
Planner = Callable[[tuple[tuple[Any, Any], ...], bytes], "Plan"]
"""Returns the plan for the (shape, dtype) of every input and the written arguments of a call."""


def cached(plan: Callable[..., Plan], inputs: int = 0) -> Planner:
    """Return the planner that calls `plan` with shape and dtype of every input and the arguments, and remembers it.

    Where `inputs` are more than a call has, those that it lacks, the last ones, are None.
    """

    @remembered(256)
    def planned(given: tuple[tuple[Any, Any], ...], call: bytes) -> Plan:
        arguments = call.arguments if isinstance(call, _Unwritten) else marshal.loads(call)
        absent = (None, None) * (inputs - len(given))
        return plan(*chain.from_iterable(given), *absent, *arguments)

    return planned
