"""What a backend executes: a plan is a few steps over arrays that are folded to four axes.

Any array is seen as ``(planes, rows, columns, inner)``: the resized axes are rows and columns, what lies before
them is planes, what lies behind them is inner. So rank and layout never reach a kernel.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.cache import nbytes_of
from gpu_upsample.plan.dtypes import STORAGE, Storage, scalars
from gpu_upsample.plan.taps import AxisMap, Gathered, Taps

Index = NDArray[np.int64]
M = TypeVar("M", Taps, Index)
Shape4 = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class FilterStep:
    """Weighted sums along the columns, then along the rows; None leaves an axis as it is.

    The sum along a row is formed first. Every sum starts at -0.0 and adds one fused multiply-add per tap, in
    ascending order, in the accumulator of `result` (or as the storage of `result` says, which is then for one axis
    alone; the other may copy where sums start at zero); a surrounding constant is added last.
    """

    shape: Shape4
    rows: Taps | None
    columns: Taps | None
    source: Storage
    result: Storage
    fill: float = 0.0

    @property
    def shape_out(self) -> Shape4:
        """Folded shape of the result."""
        return _shape_out(self)


@dataclass(frozen=True, eq=False)
class SelectStep:
    """Copies of input samples: output (r, c) is input (rows[r], columns[c]); index -1 is the fill value."""

    shape: Shape4
    rows: Index | None
    columns: Index | None
    source: Storage
    fill: float = 0.0

    @cached_property
    def has_fill(self) -> bool:
        """Whether any output is the fill value."""
        return any(index is not None and bool((index < 0).any()) for index in (self.rows, self.columns))

    @property
    def result(self) -> Storage:
        """A selection keeps the type."""
        return self.source

    @property
    def shape_out(self) -> Shape4:
        """Folded shape of the result."""
        return _shape_out(self)


Step = FilterStep | SelectStep


def _shape_out(step: Step) -> Shape4:
    planes, rows, columns, inner = step.shape
    return (
        planes,
        rows if step.rows is None else _length(step.rows),
        columns if step.columns is None else _length(step.columns),
        inner,
    )


def _length(mapping: Taps | Index) -> int:
    """Return the length of an axis behind a map."""
    return mapping.n_out if isinstance(mapping, Taps) else len(mapping)


@dataclass(frozen=True)
class Output:
    """Shape and dtype name of one result."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Plan:
    """What an operator returns, and the steps that compute it; no step at all means a copy of the input."""

    outputs: tuple[Output, ...]
    steps: tuple[Any, ...]

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the results."""
        return tuple(output.shape for output in self.outputs)

    @cached_property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes of the results."""
        return tuple(output.dtype for output in self.outputs)

    @cached_property
    def nbytes(self) -> int:
        """The bytes of all arrays that the steps need."""
        return nbytes_of(self.steps)

    @cached_property
    def is_empty(self) -> bool:
        """Whether there is nothing to compute."""
        return all(prod(output.shape) == 0 for output in self.outputs)

    def then(self, other: Plan) -> Plan:
        """Return the plan that does one after the other."""
        return Plan(other.outputs, self.steps + other.steps)


# Below this many scalars behind an axis, a sum along it is better formed as columns (one output per lane) than
# as rows (whole rows combined). The result is the same.
_SHORT_ROW = 32


def _folded(shape: tuple[int, ...], first: int, last: int) -> Shape4:
    """Fold `shape` so that axis `last` is the columns and the axes from `first` up to it are the rows."""
    return prod(shape[:first]), prod(shape[first:last]), shape[last], prod(shape[last + 1 :])


def _single_axis(shape: tuple[int, ...], axis: int, mapping: M) -> tuple[Shape4, M | None, M | None]:
    """Fold `shape` for work along one axis; return the folded shape, and the map as that of the rows or the columns."""
    inner = prod(shape[axis + 1 :])
    if inner < _SHORT_ROW:
        return _folded(shape, 0, axis), None, mapping
    return (prod(shape[:axis]), shape[axis], 1, inner), mapping, None


# A window of more samples than this is summed in blocks: a thread sums one block, not all of it.
_LONG_WINDOW, _BLOCK = 1024, 256
# From this many products on, and for fewer results than this, one axis at a time gives a GPU more to do at once.
_LONG_SUM, _FEW = 256, 1 << 16


@dataclass(frozen=True)
class Sums:
    """How the sums of a plan are stored: what the first step reads, what lies between steps, and the result.

    In `exact` sums another library's roundings are followed: one axis at a time, no sum in blocks.
    """

    source: Storage
    between: Storage
    result: Storage
    exact: bool = False


def _joins(rows: Taps, columns: Taps, others: int) -> bool:
    """Return whether one step sums along both axes, which spares the array in between.

    `others` is the product of the lengths of all other axes.
    """
    if max(rows.width, columns.width) > _LONG_WINDOW:
        return False
    return rows.width * columns.width < _LONG_SUM or rows.n_out * columns.n_out * others >= _FEW


# Samples are gathered along all axes at once if there are at most so many times as many of them then.
_MUCH = 2
# The samples of longer windows along a row lie too far apart to be permuted on a CPU, or unrolled on a GPU.
_WIDE = 10


def _shrinks_first(rows: Taps, columns: Taps) -> bool:
    """Return whether the rows are summed first: where that leaves fewer of the long, slow sums along a row."""
    return columns.width > _WIDE and rows.n_out < rows.n_in


def _filter_steps(shape: tuple[int, ...], taps: dict[int, Taps], sums: Sums, fill: float) -> list[FilterStep]:
    """Plan the weighted sums: the last axis first, neighbouring axes two at a time."""
    steps: list[FilterStep] = []
    current, axes = list(shape), sorted(taps)

    def add(folded: Shape4, rows: Taps | None, columns: Taps | None) -> None:
        steps.append(FilterStep(folded, rows, columns, sums.between if steps else sums.source, sums.between, fill))

    def add_axis(axis: int) -> None:
        if taps[axis].width > _LONG_WINDOW and not sums.exact:
            for part in taps[axis].blocks(_BLOCK):
                add(_folded(tuple(current), 0, axis), None, part)
                current[axis] = part.n_out
        else:
            add(*_single_axis(tuple(current), axis, taps[axis]))
            current[axis] = taps[axis].n_out

    while axes:
        axis = axes.pop()
        above = axes[-1] if axes and prod(current[axes[-1] + 1 : axis]) == 1 else None
        if above is None or sums.exact:
            add_axis(axis)
        elif _shrinks_first(taps[above], taps[axis]):
            add_axis(axes.pop())
            add_axis(axis)
        elif _joins(taps[above], taps[axis], prod(current) // (current[above] * current[axis])):
            add(_folded(tuple(current), above, axis), taps[above], taps[axis])
            current[axes.pop()], current[axis] = taps[above].n_out, taps[axis].n_out
        else:
            add_axis(axis)
    if steps:
        steps[-1] = replace(steps[-1], result=sums.result)
    return steps


def _raveled(shape: tuple[int, ...], index: dict[int, Index], first: int, last: int) -> Index:
    """Return where each output row comes from, with the axes from `first` up to `last` made one."""
    flat = np.zeros(1, np.int64)
    for axis in range(first, last):
        part = index.get(axis, np.arange(shape[axis]))
        joined = flat[:, None] * shape[axis] + part
        flat = np.where((flat[:, None] < 0) | (part < 0), -1, joined).ravel()
    return flat


def _select_steps(shape: tuple[int, ...], index: dict[int, Index], storage: Storage, fill: float) -> list[SelectStep]:
    """Plan the selections: all axes in one step."""
    if not index:
        return []
    first, last = min(index), max(index)
    if first == last:
        return [SelectStep(*_single_axis(shape, last, index[last]), storage, fill)]
    rows = _raveled(shape, index, first, last)
    return [SelectStep(_folded(shape, first, last), rows, index[last], storage, fill)]


def plan_steps(
    shape: tuple[int, ...],
    dtype: str,
    maps: Mapping[int, AxisMap],
    fill: float = 0.0,
    sums: Sums | None = None,
) -> Plan:
    """Plan the resampling of an array.

    Parameters
    ----------
    shape, dtype
        The input array's.
    maps : dict
        Per resized axis its taps, with what is gathered for them, or the index that each output selects (-1 for
        `fill`).
    fill : float
        Value of the surrounding constant, where a map speaks of one.
    sums : Sums, optional
        How sums are stored; by default in the array's own storage, and in its accumulator between two steps.

    Examples
    --------
    >>> plan = plan_steps((2, 3, 5), "uint8", {1: np.array([0, 0, 1, 1, 2, 2])})
    >>> plan.outputs[0].shape, [step.shape for step in plan.steps]
    ((2, 6, 5), [(1, 2, 3, 5)])
    """
    storage, parts = scalars(dtype)
    sums = sums or Sums(storage, STORAGE[storage.accumulator], storage)
    gathered = {a: m.source for a, m in maps.items() if isinstance(m, Gathered)}
    if len(gathered) > 1 and prod(map(len, gathered.values())) > _MUCH * prod(shape[a] for a in gathered):
        others = {a: m for a, m in maps.items() if a not in gathered}
        return plan_in_turn(shape, dtype, [others, *({a: maps[a]} for a in gathered)], fill, sums)
    steps: list[Step] = [*_select_steps((*shape, parts), gathered, sums.source, 0.0)]
    whole = _resized((*shape, parts), {a: len(source) for a, source in gathered.items()}, gathered)
    direct = {a: m.taps if isinstance(m, Gathered) else m for a, m in maps.items()}
    direct = {a: m for a, m in direct.items() if not _is_identity(m, whole[a])}
    taps = {a: m for a, m in direct.items() if isinstance(m, Taps)}
    index = {a: m for a, m in direct.items() if not isinstance(m, Taps)}
    lengths = {a: _length(m) for a, m in direct.items()}
    # Selections and sums along different axes commute: select first where that leaves less to sum.
    if prod(lengths[a] for a in index) <= prod(whole[a] for a in index):
        steps += _select_steps(whole, index, sums.source, fill)
        steps += _filter_steps(_resized(whole, lengths, index), taps, sums, fill)
    else:
        steps += _filter_steps(whole, taps, sums, fill)
        steps += _select_steps(_resized(whole, lengths, taps), index, sums.result if taps else sums.source, fill)
    return Plan((Output(_resized(whole, lengths, lengths)[:-1], dtype),), tuple(steps))


def plan_in_turn(
    shape: tuple[int, ...],
    dtype: str,
    turns: Iterable[Mapping[int, AxisMap]],
    fill: float = 0.0,
    sums: Sums | None = None,
) -> Plan:
    """Plan resamplings of an array one after the other, of which only the last one rounds; as `plan_steps`.

    Examples
    --------
    >>> from gpu_upsample.plan.taps import pooling_taps
    >>> plan = plan_in_turn((4,), "float16", [{0: pooling_taps(4, 2)}, {0: np.array([1, 0])}])
    >>> [(type(step).__name__, step.result.name) for step in plan.steps]
    [('FilterStep', 'float32'), ('SelectStep', 'float32'), ('FilterStep', 'float16')]
    """
    storage, parts = scalars(dtype)
    sums = sums or Sums(storage, STORAGE[storage.accumulator], storage)
    plan, held = Plan((Output(shape, dtype),), ()), sums.source
    for maps in turns:
        turn = plan_steps(plan.shapes[0], dtype, maps, fill, Sums(held, sums.between, sums.between, sums.exact))
        plan = plan.then(turn)
        held = sums.between if any(isinstance(step, FilterStep) for step in turn.steps) else held
    if held is sums.result:
        return plan
    *steps, last = plan.steps
    if not isinstance(last, FilterStep):
        steps, last = [*steps, last], conversion(plan.shapes[0], parts, held, sums.result)
    return replace(plan, steps=(*steps, replace(last, result=sums.result)))


def conversion(shape: tuple[int, ...], parts: int, source: Storage, result: Storage) -> FilterStep:
    """Return the step that stores an array, each element of which is so many scalars, in another way."""
    return FilterStep((prod(shape[:-1]), 1, prod(shape[-1:]) * parts, 1), None, None, source, result)


def _resized(shape: tuple[int, ...], lengths: dict[int, int], axes: Container[int]) -> tuple[int, ...]:
    """Return `shape` with the new lengths of some axes."""
    return tuple(lengths[axis] if axis in axes else n for axis, n in enumerate(shape))


def _is_identity(mapping: Taps | Index, n: int) -> bool:
    if isinstance(mapping, Taps):
        return mapping.is_identity
    return len(mapping) == n and np.array_equal(mapping, np.arange(n))
