"""Runs the steps of a resampling plan on the GPU."""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.kernels import THREADS, FilterSpec, SelectSpec
from gpu_upsample.cuda.run import NARROW, run_kernel
from gpu_upsample.plan.steps import FilterStep, SelectStep
from gpu_upsample.plan.taps import Taps

# A window along a row up to this length is unrolled and its weights stay in registers.
_UNROLLED = 8
# Words that a thread may keep in registers for its lanes: weights, ring, sums.
_REGISTERS = 32
# Rows that a thread may keep at most. A filter needs no more, unless a crop box reaches far outside the array.
_KEPT = 12
# Threads that keep a large GPU busy: about 132 multiprocessors × 2048 threads.
_BUSY = 1 << 18
# Output rows of a strip at most: what a thread knows of its columns serves them all.
_STRIP = 32


def _grid(planes: int, rows: int, width: int, lanes: int) -> tuple[int, int, int, int]:
    """Return (blocks, blocks across a row, strips of a plane, rows of a strip)."""
    across = -(-width // (lanes * THREADS))
    strip = min(rows, _STRIP, max(1, planes * rows * across * THREADS // _BUSY))
    strips = -(-rows // strip)
    return planes * strips * across, across, strips, strip


def _lanes(most: int, arrays: tuple[tuple[Any, int], ...]) -> int:
    """Return how many neighbours a thread may load and store at once.

    `arrays` holds pairs of an array and the length of its rows; every row must begin at a multiple of an access.
    """
    lanes = most
    for array, width in arrays:
        lanes = gcd(lanes, width, int(array.data.ptr) // array.itemsize)
        lanes = min(lanes, 16 // array.itemsize)
    return lanes


# ---- filter -------------------------------------------------------------------------------------------------
def _stop(taps: Taps) -> Any:
    return (taps.start + taps.count).astype(np.uint32)


def _outside(taps: Taps, real: Any) -> Any:
    return np.zeros(taps.n_out, real) if taps.outside is None else taps.outside.astype(real)


def _rows_form(taps: Taps | None) -> tuple[str, int]:
    """Return how the sums along the rows are formed, and the rows that are kept for it."""
    if taps is None:
        return "none", 0
    kept = min(taps.width, taps.overlap)
    if kept > _KEPT:
        return "direct", 1
    return ("ring", kept) if taps.width == kept else ("sums", kept)


def _right_aligned(taps: Taps) -> Any:
    """Return the weights with every window at the end of its row: where it lies in the ring."""
    k = np.arange(taps.width) - (taps.width - taps.count)[:, None]
    return np.where(k >= 0, np.take_along_axis(taps.weight, np.maximum(k, 0), axis=1), 0)


@lru_cache(maxsize=256)
def _filter_tables(step: FilterStep, device: int) -> memory.Tables:
    real = step.result.accumulator
    nothing = np.zeros(1, np.uint32)
    rows: tuple[Any, ...] = (nothing, nothing, np.zeros(1, real), np.zeros(1, real))
    if step.rows is not None:
        form, _ = _rows_form(step.rows)
        weight = _right_aligned(step.rows) if form == "ring" else step.rows.weight
        rows = (
            step.rows.start.astype(np.uint32),
            _stop(step.rows),
            weight.astype(real),
            _outside(step.rows, real),
        )
    columns: tuple[Any, ...] = (nothing, nothing, np.zeros(1, real), np.zeros(1, real))
    if step.columns is not None:
        taps = step.columns
        columns = (
            taps.start.astype(np.uint32), taps.count.astype(np.uint32), taps.weight.astype(real),
            _outside(taps, real),
        )  # fmt: skip
    return memory.upload(tuple(np.ascontiguousarray(table) for table in (*rows, *columns)))


def filter_spec(step: FilterStep, lanes: int, wide: bool) -> FilterSpec:
    """Return the specialisation of the filter kernel for a step."""
    form, depth = _rows_form(step.rows)
    columns = 0
    if step.columns is not None:
        columns = step.columns.width if step.columns.width <= _UNROLLED else -1
    fill = any(taps is not None and taps.outside is not None for taps in (step.rows, step.columns))
    return FilterSpec(step.source.name, step.result.name, form, depth, columns, lanes, fill, wide)


def most_lanes(step: FilterStep) -> int:
    """Return how many lanes leave enough registers for everything that each of them keeps."""
    spec = filter_spec(step, 1, False)
    kept = (spec.depth + max(spec.columns, 1)) * np.dtype(step.result.accumulator).itemsize // 4
    return max(lanes for lanes in (1, 2, 4) if lanes == 1 or lanes * kept <= _REGISTERS)


def run_filter(step: FilterStep, x: Any, out: Any) -> None:
    """Form the weighted sums of one step; both arrays are flat and of the step's carriers."""
    planes, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    width_in, width_out = columns_in * inner, columns_out * inner
    vectors = ((out, width_out),) if step.columns is not None else ((out, width_out), (x, width_in))
    lanes = _lanes(most_lanes(step), vectors)
    grid = _grid(planes, rows_out, width_out, lanes)
    tables = _filter_tables(step, x.device.id)
    spec = filter_spec(step, lanes, max(x.size, out.size) + THREADS * lanes >= NARROW)
    widths = [1 if taps is None else taps.width for taps in (step.rows, step.columns)]

    def arguments(table: tuple[int, ...]) -> tuple[Any, ...]:
        sizes = (rows_in, rows_out, width_in, width_out, inner)
        rows, columns = (*table[:3], widths[0], table[3]), (*table[4:7], widths[1], table[7])
        return (*sizes, *rows, *columns, np.dtype(step.result.accumulator).type(step.fill))

    blocks, *place = grid
    run_kernel(spec, blocks, x, out, tables, lambda table: (*place, *arguments(table)))


# ---- selection ----------------------------------------------------------------------------------------------
@lru_cache(maxsize=256)
def _select_tables(step: SelectStep, device: int) -> memory.Tables:
    chosen = (np.zeros(1, np.int64) if index is None else index for index in (step.rows, step.columns))
    return memory.upload(tuple(index.astype(np.uint32) for index in chosen))  # -1 becomes 2**32 - 1


def run_select(step: SelectStep, x: Any, out: Any) -> None:
    """Copy the selected samples of one step; both arrays are flat and of the step's carriers."""
    planes, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    width_in, width_out = columns_in * inner, columns_out * inner
    vectors = ((out, width_out),) if step.columns is not None else ((out, width_out), (x, width_in))
    lanes = _lanes(16 if step.columns is None else 4, vectors)
    grid = _grid(planes, rows_out, width_out, lanes)
    spec = SelectSpec(
        step.source.itemsize, step.rows is not None, step.columns is not None, lanes, step.has_fill,
        max(x.size, out.size) + THREADS * lanes >= NARROW,
    )  # fmt: skip
    tables = _select_tables(step, x.device.id)

    def arguments(table: tuple[int, ...]) -> tuple[Any, ...]:
        return (rows_in, rows_out, width_in, width_out, inner, *table, step.source.bits(step.fill))

    blocks, *place = grid
    run_kernel(spec, blocks, x, out, tables, lambda table: (*place, *arguments(table)))
