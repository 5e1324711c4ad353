"""Memories: planning costs more than computing a small result, and tables may need more room than a large one."""

from __future__ import annotations

import marshal
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from functools import lru_cache, update_wrapper
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan

F = TypeVar("F", bound=Callable[..., Any])

# From so many bytes on, what is remembered counts by its bytes: of all such together, so many are kept.
_HEAVY, _MOST = 1 << 20, 1 << 27


# ---- the arguments of a call --------------------------------------------------------------------------------
class _Unwritten(bytes):
    """What stands for arguments that cannot be written as bytes: equal to nothing but itself."""

    arguments: tuple[Any, ...]
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


_PLAIN = (type(None), bool, int, float, str)
_ALL_PLAIN = frozenset(_PLAIN)


def plain(value: Any) -> Any:
    """Return arrays, NumPy's scalars and whatever has items as Python's numbers and tuples, all the way down."""
    if type(value) in _ALL_PLAIN:
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, str):
        return str.__str__(value)
    several = isinstance(value, Iterable) and not isinstance(value, bytes | Mapping | AbstractSet)
    return tuple(map(plain, value)) if several else value


def written(arguments: tuple[Any, ...]) -> bytes:
    """Return the arguments of a call as bytes: 2, 2.0 and True are equal, but not the same argument."""
    given = arguments if _ALL_PLAIN.issuperset(map(type, arguments)) else tuple(map(plain, arguments))
    try:
        return marshal.dumps(given, 2)  # from version 3 on, equal arguments may differ in their bytes
    except ValueError:  # something that is no argument: the plan will say so
        unwritten = _Unwritten()
        unwritten.arguments = given
        return unwritten


# ---- what is remembered -------------------------------------------------------------------------------------
def nbytes_of(value: Any) -> int:
    """Return the bytes of all arrays in a plan, or in a part of one.

    Examples
    --------
    >>> nbytes_of((np.zeros(3), [1.0], np.zeros((2, 2), np.int8)))
    28
    """
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, tuple):
        return sum(map(nbytes_of, value))
    return sum(nbytes_of(getattr(value, field.name)) for field in fields(value)) if is_dataclass(value) else 0


class _Heavy(Exception):  # noqa: N818 - no error: the way past a memory that counts results
    """A result that is too large to be kept among the small ones."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Memory:
    """A function that remembers its last results.

    Parameters
    ----------
    function : callable
        Computes a plan, or a part of one, from arguments that are hashable.
    entries : int
        How many small results are remembered, of less than `_HEAVY` bytes of arrays each; of the others, `_MOST` bytes.
    """

    def __init__(self, function: Callable[..., Any], entries: int) -> None:
        self._function = function
        self._large: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._lock = Lock()
        self._small = lru_cache(maxsize=entries)(self._computed)
        update_wrapper(self, function)

    def __call__(self, *key: Any) -> Any:
        try:
            return self._small(*key)
        except _Heavy as found:
            return found.value

    def __len__(self) -> int:
        return self._small.cache_info().currsize + len(self._large)

    def cache_clear(self) -> None:
        """Forget everything."""
        self._small.cache_clear()
        self._large.clear()

    def _computed(self, *key: Any) -> Any:
        with self._lock:
            if key in self._large:
                self._large.move_to_end(key)
                raise _Heavy(self._large[key])
        value = self._function(*key)
        if nbytes_of(value) < _HEAVY:
            return value
        with self._lock:
            self._large[key] = value
            while len(self._large) > 1 and sum(map(nbytes_of, self._large.values())) > _MOST:
                self._large.popitem(last=False)
        raise _Heavy(value)


def remembered(entries: int) -> Callable[[F], F]:
    """Let a function remember its last results: so many small ones, and so many bytes of large ones."""

    def decorated(function: F) -> F:
        return cast("F", _Memory(function, entries))

    return decorated


class _Kept:
    """A function of a step, or of another part of a plan, whose results are kept as long as that is there.

    Parameters
    ----------
    function : callable
        Its first argument is what keeps the results; the others are hashable.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._name, self._time = f"{function.__module__}.{function.__qualname__}", 0
        update_wrapper(self, function)

    def __call__(self, owner: Any, *rest: Any) -> Any:
        results = owner.__dict__.get(self._name)
        if results is None or results[None] != self._time:
            results = owner.__dict__[self._name] = {None: self._time}
        try:
            return results[rest]
        except KeyError:
            results[rest] = result = self._function(owner, *rest)
            return result

    def cache_clear(self) -> None:
        """Forget everything."""
        self._time += 1


def kept(function: F) -> F:
    """Remember the results of a function of a step, or of another part of a plan, as long as that is there."""
    return cast("F", _Kept(function))


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
