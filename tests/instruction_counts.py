"""What a call costs a GPU in instructions, counted in its kernels' machine code."""

from __future__ import annotations

import numpy as np

from gpu_upsample.cuda.resample import filter_lanes, filter_spec, select_lanes, select_spec
from gpu_upsample.plan.steps import FilterStep, SelectStep
from tests import machine_code


def spec_of(step):
    """Return the specialisation that runs a step on aligned arrays."""
    if isinstance(step, FilterStep):
        return filter_spec(step, filter_lanes(step, 0, 0), False)
    return select_spec(step, select_lanes(step, 0, 0), False)


def _rows_read(step):
    """Return how many source rows the windows of a step reach."""
    if isinstance(step, SelectStep):
        return len(np.unique(step.rows))
    reached = np.zeros(step.rows.n_in + 1, np.int64)
    np.add.at(reached, step.rows.start, 1)
    np.add.at(reached, step.rows.start + step.rows.count, -1)
    return int((np.cumsum(reached) > 0).sum())


def _step_cost(step):
    """Return the instructions of a step per scalar of its result.

    A source row that is filtered costs a turn of the outer loop, in which at most one output row is completed; every
    further output row costs a turn of the inner loop. So n output rows of m source rows cost m outer turns, n of
    them with a store, or m outer turns and n - m inner ones. A turn counts with all the multiply-adds that a thread
    inside of the array executes, the borders' code left out.
    """
    spec = spec_of(step)
    outer, inner = machine_code.row_costs(spec)
    rows_out, rows_in = (step.shape[1],) * 2 if step.rows is None else (step.shape_out[1], _rows_read(step))
    stores = min(count for _, count, _ in inner)
    along = arriving = leaving = 0
    if isinstance(step, FilterStep):
        along = spec.lanes * spec.width
        arriving = spec.lanes * spec.depth if spec.rows == "sums" else 0
        leaving = spec.lanes * spec.depth if spec.rows == "ring" else 0
    loads = 0 if isinstance(step, FilterStep) else _loads(spec)
    with_store = machine_code.cheapest(outer, along + arriving + leaving, stores, loads)
    if rows_in <= rows_out:
        further = machine_code.cheapest(inner, leaving, stores) if rows_in < rows_out else 0
        rows = rows_in * with_store + (rows_out - rows_in) * further
    else:
        rows = rows_out * with_store + (rows_in - rows_out) * machine_code.cheapest(outer, along + arriving, 0)
    return rows / rows_out / spec.lanes


def _loads(spec):
    """Return with how many loads a selecting thread has read a source row."""
    if spec.phases:
        pixel = max(1, spec.inner)
        return (((spec.lanes - 1) // pixel * spec.step + spec.shift) // spec.phases + 1) * pixel
    return spec.lanes if spec.columns else 1


def per_output(plan):
    """Return the instructions of a call per scalar of its result."""
    sizes = [np.prod(step.shape_out) for step in plan.steps]
    return sum(_step_cost(step) * size for step, size in zip(plan.steps, sizes, strict=True)) / sizes[-1]


def per_byte(plan, dtype):
    """Return the instructions of a call per byte moved: its input read once, its result written once."""
    sizes = [np.prod(plan.steps[0].shape), np.prod(plan.steps[-1].shape_out)]
    return per_output(plan) * sizes[1] / (sum(sizes) * np.dtype(dtype).itemsize)


def products_per_output(plan):
    """Return the multiply-adds that the taps of a call need per scalar of its result."""
    total = 0
    for step in plan.steps:
        if isinstance(step, FilterStep):
            planes, rows, columns, inner = step.shape_out
            if step.columns is not None:
                rows_in = rows if step.rows is None else _rows_read(step)
                total += planes * rows_in * int(step.columns.count.sum()) * inner
            if step.rows is not None:
                total += planes * int(step.rows.count.sum()) * columns * inner
    return total / np.prod(plan.steps[-1].shape_out)
