"""Runs the steps of a resampling plan on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.kernels import UNROLLED, filter_kernel, select_kernel
from gpu_upsample.cpu.threads import run_in_parts
from gpu_upsample.plan.steps import FilterStep, SelectStep
from gpu_upsample.plan.taps import Taps

# From this many inner scalars on, the innermost loop runs over them and fills vector registers.
_LONG_INNER = 8


@dataclass(frozen=True, eq=False)
class _FilterTables:
    """What a filter kernel reads beside the arrays."""

    kernel: Any
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    accumulator: np.dtype[Any]
    slots: int


def _identity(n: int) -> Taps:
    return Taps(n, np.arange(n), np.ones(n, np.int64), np.ones((n, 1)))


def _unrolled(taps: Taps) -> int:
    return taps.width if taps.width <= UNROLLED else 0


def _outside(taps: Taps, dtype: np.dtype[Any]) -> Any:
    return np.zeros(taps.n_out, dtype) if taps.outside is None else taps.outside.astype(dtype)


def _full_run(taps: Taps) -> tuple[int, int]:
    """Return the first and last output of the longest run whose windows all have full length."""
    edges = np.flatnonzero(np.diff(np.r_[0, (taps.count == _unrolled(taps)).astype(np.int8), 0]))
    if len(edges) == 0:
        return 0, 0
    longest = 2 * int(np.argmax(edges[1::2] - edges[::2]))
    return int(edges[longest]), int(edges[longest + 1])


@lru_cache(maxsize=256)
def _filter_tables(step: FilterStep) -> _FilterTables:
    accumulator = np.dtype(step.result.accumulator)
    inner = step.shape[3]
    rows = step.rows or _identity(1)  # a plane of one row, where the rows stay as they are
    row_tables = (rows.start, rows.count, rows.weight.astype(accumulator), _outside(rows, accumulator))
    nested = inner >= _LONG_INNER
    taps = step.columns or _identity(1)
    start, count, weight = taps.start, taps.count, np.ascontiguousarray(taps.weight.T, dtype=accumulator)
    outside, interior = _outside(taps, accumulator), _full_run(taps)
    if taps.outside is not None:
        interior = (0, 0)
    if not nested:  # one table entry per scalar of a row
        start = (start[:, None] * inner + np.arange(inner)).ravel()
        count, outside = np.repeat(count, inner), np.repeat(outside, inner)
        weight = np.repeat(weight, inner, axis=1)
        interior = (interior[0] * inner, interior[1] * inner)
    fill = rows.outside is not None or taps.outside is not None
    across = -1 if step.columns is None else _unrolled(taps)
    kernel = filter_kernel(
        kind_of(step.source.name), kind_of(step.result.name), _unrolled(rows), across, int(nested), int(fill)
    )
    # A power of two, so that the slot of a row is a mask away; one slot where rows are read in place.
    slots = 1 if step.columns is None else 1 << (rows.width - 1).bit_length()
    return _FilterTables(kernel, row_tables, (start, count, weight, outside, interior, inner), accumulator, slots)


def run_filter(step: FilterStep, x: Any, out: Any) -> None:
    """Form the weighted sums of one step; both arrays are flat and of the step's carriers."""
    tables = _filter_tables(step)
    _, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    width = columns_out * inner
    x, out = x.reshape(-1, columns_in * inner), out.reshape(-1, width)
    if step.rows is None:
        rows_in = rows_out = 1
    real = tables.accumulator.type
    column_zero = real(step.result.start)
    # Where the rows stay as they are, a row is the sum of itself: nothing is added to -0.0 or to an integer 0.
    row_zero = column_zero if step.rows is not None or real(0) == column_zero else real(0)

    def work(first: int, last: int) -> None:
        ring = np.empty((tables.slots, width if step.columns is not None else 1), real)
        held = np.full(tables.slots, -1)
        line = np.empty(width, real)
        tables.kernel(
            x, out, first, last, rows_in, rows_out, *tables.rows, *tables.columns,
            column_zero, row_zero, real(step.fill), ring, held, line,
        )  # fmt: skip

    # Every part filters the rows of its first window anew.
    run_in_parts(work, len(out), x.nbytes + out.nbytes, least=4 * tables.slots)


@lru_cache(maxsize=256)
def _select_tables(step: SelectStep) -> tuple[Any, Any, Any]:
    inner = step.shape[3]
    nested = inner >= _LONG_INNER
    rows = np.zeros(1, np.int64) if step.rows is None else step.rows
    columns = np.zeros(1, np.int64) if step.columns is None else step.columns
    if not nested and step.columns is not None:
        spread = columns[:, None] * inner + np.arange(inner)
        columns = np.where(columns[:, None] < 0, -1, spread).ravel()
    return select_kernel(int(step.columns is not None), int(nested)), rows, columns


def run_select(step: SelectStep, x: Any, out: Any) -> None:
    """Copy the selected samples of one step; both arrays are flat and of the step's carriers."""
    kernel, rows, columns = _select_tables(step)
    _, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    if step.rows is None:
        rows_in = rows_out = 1
    bits = np.dtype(f"u{step.source.itemsize}")
    x = x.view(bits).reshape(-1, columns_in * inner)
    out = out.view(bits).reshape(-1, columns_out * inner)
    fill = bits.type(step.source.bits(step.fill))

    def work(first: int, last: int) -> None:
        kernel(x, out, first, last, rows_in, rows_out, rows, columns, inner, fill)

    run_in_parts(work, len(out), x.nbytes + out.nbytes, least=8)
