"""Runs the steps of a resampling plan on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.kernels import UNROLLED, filter_kernel, lanes_of, select_kernel
from gpu_upsample.cpu.threads import run_in_parts
from gpu_upsample.plan.steps import FilterStep, SelectStep
from gpu_upsample.plan.taps import Taps

@dataclass(frozen=True, eq=False)
class _FilterTables:
    """What a filter kernel reads beside the arrays."""

    kernel: Any
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    accumulator: np.dtype[Any]
    lanes: int
    slots: int
    slack: int


def _identity(n: int) -> Taps:
    return Taps(n, np.arange(n), np.ones(n, np.int64), np.ones((n, 1)))


def _unrolled(taps: Taps) -> int:
    return taps.width if taps.width <= UNROLLED else 0


def _outside(taps: Taps, dtype: np.dtype[Any]) -> Any:
    return np.zeros(taps.n_out, dtype) if taps.outside is None else taps.outside.astype(dtype)


def _repeated(rows: Any) -> tuple[Any, Any]:
    """Return the distinct rows of an array, and which of them each row is."""
    words = np.ascontiguousarray(rows).view(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, words.shape[1], np.uint64) | np.uint64(1)
    _, first, which = np.unique((words * factors).sum(axis=1), return_index=True, return_inverse=True)
    if np.array_equal(words[first][which], words):  # rows of one sum are indeed equal
        return rows[first], which
    return rows, np.arange(len(rows))


def _vectors(taps: Taps, inner: int, lanes: int, dtype: np.dtype[Any]) -> tuple[int, tuple[Any, ...]]:
    """Return in how many vectors of the input the samples of a vector of the output lie, and the tables of those.

    Neighbouring vectors often differ in nothing but their place: such a form is stored once.
    """
    width = taps.n_out * inner
    blocks = -(-width // lanes)
    column, channel = np.divmod(np.minimum(np.arange(blocks * lanes), width - 1), inner)
    start = (taps.start[column] * inner + channel).reshape(blocks, lanes)
    base = start.min(axis=1)
    reach = int(np.max(start - base[:, None]))
    spread = reach // lanes + 1 if reach < 2 * lanes else 0
    integer = np.dtype(f"i{dtype.itemsize}")
    count = taps.count[column].reshape(blocks, lanes)
    count = np.where((count == taps.width).all(axis=1, keepdims=True), -1, count)
    weight = taps.weight.astype(dtype)[column].reshape(blocks, lanes, -1).transpose(0, 2, 1)
    outside = _outside(taps, dtype)[column].reshape(blocks, 1, lanes)
    parts = [(start - base[:, None])[:, None], count[:, None]]
    whole = [part.astype(integer).view(dtype) for part in parts]
    forms, which = _repeated(np.concatenate([*whole, outside, weight], axis=1).reshape(blocks, -1))
    forms = forms.reshape(len(forms), -1, lanes)
    index, count, outside, weight = (np.ascontiguousarray(forms[:, rows]) for rows in (0, 1, 2, slice(3, None)))
    return spread, (
        base, which, index.view(integer).ravel(), count.view(integer).ravel(), weight.ravel(), outside.ravel()
    )  # fmt: skip


def _windows(taps: Taps, dtype: np.dtype[Any]) -> tuple[Any, Any, Any, Any]:
    """Return the tables of the windows themselves."""
    start, count = np.ascontiguousarray(taps.start), np.ascontiguousarray(taps.count)
    return start, count, taps.weight.astype(dtype, order="C").ravel(), _outside(taps, dtype)


@lru_cache(maxsize=256)
def _filter_tables(step: FilterStep) -> _FilterTables:
    accumulator = np.dtype(step.result.accumulator)
    lanes = lanes_of(kind_of(step.result.name))
    inner = step.shape[3]
    rows = step.rows or _identity(1)  # a plane of one row, where the rows stay as they are
    row_tables = _windows(rows, accumulator)
    nested = step.columns is not None and inner >= lanes
    taps = step.columns or _identity(1)
    spread = 0
    if nested or step.columns is None:
        start, count, weight, outside = _windows(taps, accumulator)
        columns = (start * inner, np.zeros(1, np.int64), np.zeros(1, np.int64), count, weight, outside)
    else:
        spread, columns = _vectors(taps, inner, lanes, accumulator)
    fill = rows.outside is not None or taps.outside is not None
    across = -1 if step.columns is None else _unrolled(taps)
    kernel = filter_kernel(
        kind_of(step.source.name), kind_of(step.result.name), _unrolled(rows), across, int(nested), spread, int(fill)
    )
    # A power of two, so that the slot of a row is a mask away; one slot where rows are read in place.
    slots = 1 if step.columns is None else 1 << (rows.width - 1).bit_length()
    slack = taps.width * inner + 2 * lanes  # whole vectors are read beyond the end of a row
    return _FilterTables(kernel, row_tables, (*columns, taps.width, inner), accumulator, lanes, slots, slack)


# From this many bytes on, a result goes past the caches, which would not hold it anyway.
_STREAMED_BYTES = 1 << 23


def run_filter(step: FilterStep, x: Any, out: Any) -> None:
    """Form the weighted sums of one step; both arrays are flat and of the step's carriers."""
    tables = _filter_tables(step)
    _, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    width_in, width = columns_in * inner, columns_out * inner
    if step.rows is None:
        rows_in = rows_out = 1
    real, lanes = tables.accumulator.type, tables.lanes
    column_zero = real(step.result.start)
    # Where the rows stay as they are, a row is the sum of itself: nothing is added to -0.0 or to an integer 0.
    row_zero = column_zero if step.rows is not None or real(0) == column_zero else real(0)
    ringed = step.columns is not None
    address = out.ctypes.data
    lead, astray = divmod(address, out.itemsize)
    streams = out.nbytes >= _STREAMED_BYTES and astray == 0
    pitch = (width // lanes + 2) * lanes if ringed else lanes

    def work(first: int, last: int) -> None:
        ring = np.empty(tables.slots * pitch, real)
        held = np.full(tables.slots, -1)
        line = np.empty(width_in + tables.slack, real)
        tables.kernel(
            x, out, first, last, rows_in, rows_out, width_in, width, *tables.rows, *tables.columns,
            column_zero, row_zero, real(step.fill), ring, held, line, lead % lanes, streams,
        )  # fmt: skip

    # Every part filters the rows of its first window anew.
    run_in_parts(work, out.size // width, x.nbytes + out.nbytes, least=4 * tables.slots)


# From this many inner scalars on, the innermost loop runs over them and fills vector registers.
_LONG_INNER = 8


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
