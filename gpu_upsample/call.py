"""The way of a call: from the caller's arrays to a plan, to a backend, and back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpu_upsample.arrays import Kind, kind_of, own_kind
from gpu_upsample.dispatch import chosen_backend, load
from gpu_upsample.plan.cache import Planner, remembered, written
from gpu_upsample.plan.dtypes import DTYPES

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan


_Call = tuple[Planner, bytes, str, tuple[str, ...]]
"""What a call asks for: its planner, written arguments and backend, and the names of its arrays."""


def apply(
    planner: Planner,
    arguments: tuple[Any, ...],
    inputs: dict[str, Any],
    out: Any,
    backend: Any,
    out_name: str = "out",
) -> Any:
    """Plan for some arrays, run the plan on the backend that the caller or the data chose, and return its results.

    Parameters
    ----------
    planner : callable
        Returns the plan for the (shape, dtype name) of every input and the written `arguments`, or raises.
    arguments : tuple
        The arguments of the public operator that its plan depends on.
    inputs : dict
        The arrays by the names that error messages call them. The first decides the kind and place of the results.
    out : array, tuple of arrays or None
        Where the results go.
    backend : str or None
        The argument of the public operator.
    out_name : str
        What error messages call `out`.

    Returns
    -------
    array or tuple of arrays
        One array if the plan has one output.
    """
    goals = () if out is None else out if isinstance(out, tuple) else (out,)
    call = planner, written(arguments), chosen_backend(backend), (*inputs, out_name)
    arrays = tuple(inputs.values())
    kinds = tuple(map(kind_of, inputs, arrays))
    kinds_out = None if out is None else tuple([kind_of(out_name, goal, is_out=True) for goal in goals])
    route = _route(*call, kinds, kinds_out, isinstance(out, tuple))
    if kinds[0].whole is None:
        return _through_own(call, route, arrays, goals, out)
    return route.run(arrays, goals, out)


@remembered(512)
def _route(
    planner: Planner,
    call: bytes,
    choice: str,
    names: tuple[str, ...],
    kinds: tuple[Kind, ...],
    goals: tuple[Kind, ...] | None,
    several: bool,
) -> Route:
    """Check all that can be checked without the arrays, and plan: once for calls that are alike."""
    first = kinds[0]
    _check_inputs(dict(zip(names, kinds, strict=False)))
    plan = planner(tuple((kind.shape, kind.dtype) for kind in kinds), call)
    if goals is not None:
        _check_goals(names, first, plan, goals, several)
    home = "cuda" if first.on_device else "cpu"
    return Route(names, plan, home, home if choice == "auto" else choice, kinds, goals or ())


def _through_own(call: _Call, route: Route, arrays: tuple[Any, ...], goals: tuple[Any, ...], out: Any) -> Any:
    """Take arrays of a library that no backend works on through a backend's own, over the same memory."""
    home, first, plan = load(route.home), route.kinds[0], route.plan
    if not goals and first.make is not None and route.engine == route.home:
        goals = tuple(map(partial(first.make, arrays[0]), plan.shapes, plan.dtypes))
        out = goals if len(goals) > 1 else goals[0]
    own = tuple([home.as_array(kind.take(array)) for kind, array in zip(route.kinds, arrays, strict=True)])
    own_goals = tuple([home.as_array(first.take(goal)) for goal in goals])
    own_kind_of = partial(own_kind, first.on_device)
    kinds_out = tuple(map(own_kind_of, own_goals, plan.dtypes)) if goals else None
    inner = _route(*call, tuple(map(own_kind_of, own, route.dtypes)), kinds_out, len(goals) > 1)
    with home.placed(own + own_goals, inner.whole):
        results = inner.run(own, own_goals, out)
        if goals:
            return out
        given = tuple(map(first.give_back, results if len(plan.outputs) > 1 else (results,), plan.dtypes))
    return given if len(given) > 1 else given[0]


class Route:
    """What a call does with its arrays, whatever lies in them.

    Parameters
    ----------
    names : tuple of str
        What error messages call the inputs, and the output.
    plan : Plan
        What is computed.
    home, engine : str
        The backend where the arrays lie, and the one that runs the steps.
    kinds, goals : tuple of Kind
        Those of the inputs, and of the arrays where the results go.

    Attributes
    ----------
    dtypes : tuple of str
        The dtypes of the inputs.
    alike : tuple of bool
        Whether a result has the dtype of the first input.
    whole : tuple of bool
        Whether each of the inputs lies in memory as a whole, and each of the arrays where the results go.
    in_place : bool
        Whether the last step writes where the results go.
    nbytes : int
        Bytes of all arrays of the plan.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        plan: Plan,
        home: str,
        engine: str,
        kinds: tuple[Kind, ...],
        goals: tuple[Kind, ...],
    ) -> None:
        self.names, self.plan, self.home, self.engine, self.kinds, self.goals = names, plan, home, engine, kinds, goals
        self.dtypes = tuple([kind.dtype for kind in kinds])
        self.alike = tuple([dtype == self.dtypes[0] for dtype in plan.dtypes])
        self.whole = tuple([bool(kind.whole) for kind in kinds + goals])
        self.in_place = bool(goals) and engine == home and all(self.whole[len(kinds) :])
        self.nbytes = plan.nbytes

    def run(self, arrays: tuple[Any, ...], goals: tuple[Any, ...], out: Any) -> Any:
        """Compute the results, into `goals` if there are any, which `out` holds, and return them."""
        home = load(self.home)
        with home.placed(arrays + goals, self.whole):
            if goals:
                self._check_memory(home, arrays, goals)
            if self.in_place:
                self._execute(home, arrays, goals)
                return out
            results = (self._run_here if self.engine == self.home else self._run_elsewhere)(arrays)
            for result, goal in zip(results, goals, strict=False):
                home.copy(result, goal)
        return out if goals else results if len(results) > 1 else results[0]

    def _run_here(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """Return new arrays with the results."""
        engine = load(self.engine)
        results = tuple(map(engine.empty, self.plan.shapes, self._result_dtypes(arrays)))
        self._execute(engine, arrays, results)
        return results

    def _run_elsewhere(self, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        """Copy the inputs to where the other backend works, and the results from there."""
        on_device = self.kinds[0].on_device
        results = self._run_here([_moved(array, on_device) for array in arrays])
        dtypes = map(_native, self._result_dtypes(arrays))
        return tuple(_moved(result, not on_device).view(dtype) for result, dtype in zip(results, dtypes, strict=True))

    def _result_dtypes(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the dtypes of the results: where it is that of the first array, as this array has it."""
        like = arrays[0].dtype
        return [like if alike else dtype for alike, dtype in zip(self.alike, self.plan.dtypes, strict=True)]

    def _check_memory(self, home: Any, arrays: tuple[Any, ...], goals: tuple[Any, ...]) -> None:
        """Refuse outputs that cannot be written, or share memory with an input or each other."""
        out_name, whole, every = self.names[-1], self.whole, arrays + goals
        for at, goal in enumerate(goals, len(arrays)):
            if self.home == "cpu" and not goal.flags.writeable:
                raise ValueError(f"{out_name} must be writable, got a read-only array")
            for place in range(at):
                if home.overlap(every[place], whole[place], goal, whole[at]):
                    other = self.names[place] if place < len(arrays) else f"another {out_name}"
                    raise ValueError(f"{out_name} must not overlap {other} in memory")
            if not whole[at] and _overlaps_itself(goal):
                raise ValueError(f"{out_name} must not overlap itself in memory")

    def _execute(self, engine: Any, arrays: Any, results: Any) -> None:
        """Run the steps: the first takes all inputs, each further one what the one before made."""
        plan = self.plan
        if plan.is_empty:
            return
        if not plan.steps:
            engine.copy(arrays[0], results[0])
            return
        current = [*map(engine.words, arrays, self.dtypes, self.whole)]
        *steps, last = engine.joined(plan)
        for step in steps:
            between = [engine.scratch(step.shape_out, step.result)]
            engine.run_step(step, current, between)
            current = between
        engine.run_step(last, current, [*map(engine.words, results, plan.dtypes)])


def _check_inputs(operands: dict[str, Kind]) -> None:
    """Refuse inputs of a dtype that no operator has, or from several libraries or places."""
    for name, kind in operands.items():
        if kind.dtype not in DTYPES:
            raise TypeError(f"{name} must have one of the dtypes {', '.join(DTYPES)}; got {kind.dtype}")
    if len({(kind.library, kind.on_device) for kind in operands.values()}) > 1:
        listed = ", ".join(f"{name} from {kind.library}" for name, kind in operands.items())
        raise TypeError(f"all arrays of a call must be of one kind; got {listed}")


def _check_goals(names: tuple[str, ...], first: Kind, plan: Plan, goals: tuple[Kind, ...], several: bool) -> None:
    """Refuse outputs of another number, kind, shape or dtype than the results; `several` says if they are a tuple."""
    name, *_, out_name = names
    number = len(plan.outputs)
    if len(goals) != number or several != (number > 1):
        wanted = f"a tuple of {number} arrays" if number > 1 else "one array"
        raise TypeError(f"{out_name} must be {wanted}, got {f'a tuple of {len(goals)}' if several else 'one array'}")
    for goal, expected in zip(goals, plan.outputs, strict=True):
        if not goal.writable:
            raise ValueError(f"{out_name} must be writable, got a read-only array")
        if (goal.library, goal.on_device) != (first.library, first.on_device):
            raise TypeError(f"{name} and {out_name} must be arrays of one kind; got {first.library} and {goal.library}")
        if goal.dtype != expected.dtype:
            raise TypeError(f"{out_name} must have dtype {expected.dtype}, got {goal.dtype}")
        if goal.shape != expected.shape:
            raise ValueError(f"{out_name} must have shape {expected.shape}, got {goal.shape}")


def _overlaps_itself(array: Any) -> bool:
    """Say whether two items may lie at one place: whether an axis steps over less than the axes below it reach."""
    reach = array.itemsize
    for stride, n in sorted((abs(stride), n) for stride, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if stride < reach:
            return bool(array.size)
        reach += stride * (n - 1)
    return False


def _native(dtype: Any) -> np.dtype[Any]:
    native: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")
    return native


def _moved(array: Any, from_device: bool) -> Any:
    """Copy an array from the device to the host, or from the host to the device."""
    cuda = load("cuda")
    return cuda.to_host(array) if from_device else cuda.from_host(array)
