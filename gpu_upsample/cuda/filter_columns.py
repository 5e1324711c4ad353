"""The sums along a line of the filter kernel, in each of the forms that `FilterSpec.columns` names.

A form is two functions. ``prepare(line)`` is called once by each thread, for a `Line`, and returns its state: what the
form keeps in registers from one source row to the next. ``sum_line(x, begin, state, row)`` puts the sums of the
thread's lanes into `row`, of the line of `x` that begins at `begin`. Only the form itself looks into a state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gpu_upsample import arithmetic
from gpu_upsample.cuda.filter_span import build_span
from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.filter_windows import build_apart, build_joint, build_walk


class Line(NamedTuple):
    """What a thread is told of the lines that it sums along; a line is a row, or one of several in a row.

    Attributes
    ----------
    j, between : int
        Where the thread's first lane lies in an output line, and how far apart its pieces lie (see `pieces.py`).
    inside : bool
        Whether the windows of all lanes lie in the span.
    span_begin : int
        Where the samples begin of a thread of the span, if its first lane were the first scalar of the line.
    width_in, width_out : int
        Scalars of a line of the input, and of the output.
    inner : int
        Scalars of a column, which has one window.
    pitch : int
        Pitch of the table of weights (see `filter_tables.column_pitch`).
    fill : float
        The constant around the array.
    start, count, weight, outside : pointer
        The tables of the output columns: where the window of each begins, how many samples it has, their weights, and
        the weight of the constant.
    """

    j: Any
    between: Any
    inside: Any
    span_begin: Any
    width_in: Any
    width_out: Any
    inner: Any
    pitch: Any
    fill: Any
    start: Any
    count: Any
    weight: Any
    outside: Any


def build_columns(
    machine: Any, spec: FilterSpec, index: Any, pieces: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return `prepare` and `sum_line` of a specialisation's form.

    Each form has functions of its own, not branches of one function: Numba copies all variables of what it inlines.
    """
    forms: dict[str, Callable[..., tuple[Callable[..., Any], Callable[..., None]]]] = {
        "span": build_span,
        "apart": build_apart,
        "joint": build_joint,
        "walk": build_walk,
        "none": _build_none,
    }
    return forms[spec.columns](machine, spec, index, pieces)


def _build_none(
    machine: Any, spec: FilterSpec, index: Any, pieces: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return the form in which the columns stay as they are."""
    plus, widen, memory, full_of = machine.plus, machine.widen, machine.memory, pieces.full
    SOURCE, LANES = arithmetic.kind_of(spec.source), spec.lanes
    carrier = arithmetic.carrier_of(SOURCE)
    load_pieces = pieces.loading(carrier)

    @machine.inline
    def prepare(line):
        return line.j, line.between, full_of(line.j, line.between, line.width_out)

    @machine.inline
    def sum_line(x, begin, state, row):
        j, between, full = state
        raw = memory.local.array(LANES, carrier)
        load_pieces(x, plus(begin, j), between, full, raw)
        for lane in range(LANES):
            row[lane] = widen(SOURCE, raw[lane])

    return prepare, sum_line
