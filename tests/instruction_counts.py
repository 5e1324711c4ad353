"""What a call costs a GPU in instructions, counted in its kernels' machine code."""

from __future__ import annotations

import numpy as np

from gpu_upsample.cuda.filter_choice import filter_lanes, filter_spec
from gpu_upsample.cuda.select import select_lanes, select_spec
from gpu_upsample.cuda.volumes import joined
from gpu_upsample.plan.steps import FilterStep, SelectStep
from tests import machine_code


def spec_of(step):
    """Return the specialisation that runs a step on aligned arrays."""
    if isinstance(step, FilterStep):
        lanes, pieces = filter_lanes(step, 0, 0)
        return filter_spec(step, lanes, False, 0, pieces)
    return select_spec(step, *select_lanes(step, 0, 0), False)


def _rows_read(step):
    """Return how many source rows the windows of a step reach."""
    if isinstance(step, SelectStep):
        return len(np.unique(step.rows))
    return int(_new_rows(step.rows).sum())


def _new_rows(rows):
    """Return how many source rows each output row reads that none before it has read."""
    stop = np.maximum.accumulate(rows.start + rows.count)
    return stop - np.minimum(stop, np.maximum(rows.start, np.append(0, stop[:-1])))


def _step_cost(step):
    """Return the instructions of a step per scalar of its result.

    Where the output rows are as many as the source rows, or more, each source row costs a turn of the outer loop, in
    which one output row is completed, and every further output row a turn of the inner loop. So n output rows of m
    source rows cost m outer turns and n - m inner ones. A turn counts with all the multiply-adds that a thread inside
    of the array executes, the borders' code left out.
    """
    spec = spec_of(step)
    outer, inner, sources = machine_code.row_costs(spec)
    rows_out, rows_in = (step.shape[1],) * 2 if step.rows is None else (step.shape_out[1], _rows_read(step))
    stores = min(count for _, count, _ in outer if count)
    along = line = arriving = leaving = 0
    if isinstance(step, FilterStep):
        line = spec.lanes * (spec.width + (spec.lines > 0))
        along = line * max(1, spec.lines)
        arriving = spec.lanes * {"sums": spec.depth, "direct": 1}.get(spec.rows, 0)
        leaving = spec.lanes * spec.depth if spec.rows == "ring" else 0

    def cheapest(turns, rows, further, stores, loads=0):
        """Return the cost of so many source rows in one turn, whose lines may be turns of a loop of their own."""
        products = rows * (along + arriving) + further
        try:
            return machine_code.cheapest(turns, products, stores, loads)
        except ValueError:
            if spec.lines < 2:
                raise
            more = rows * (spec.lines - 1)
            unrolled = machine_code.cheapest(turns, products - more * line, stores)
            return unrolled + more * machine_code.cheapest(sources, line, 0)

    if isinstance(step, FilterStep) and spec.fewer:

        def cost(number):
            try:
                return cheapest(outer, number, leaving, stores)
            except ValueError:  # more than are unrolled: another turn
                return cost(number - 1) + cheapest(sources, 1, 0, 0)

        new = step.rows.count if spec.rows == "direct" else _new_rows(step.rows)
        numbers, times = np.unique(new, return_counts=True)
        return (
            sum(cost(int(number)) * count for number, count in zip(numbers, times, strict=True)) / len(new) / spec.lanes
        )
    loads = 0 if isinstance(step, FilterStep) else _loads(spec)
    with_store = cheapest(outer, 1, leaving, stores, loads)
    further = machine_code.cheapest(inner, leaving, stores) if rows_in < rows_out else 0
    rows = min(rows_in, rows_out) * with_store + max(rows_out - rows_in, 0) * further
    return rows / rows_out / spec.lanes


def _loads(spec):
    """Return with how many loads a selecting thread has read a source row."""
    if spec.phases:
        pixel = max(1, spec.inner)
        return (((spec.lanes - 1) // pixel * spec.step + spec.shift) // spec.phases + 1) * pixel
    return spec.lanes if spec.columns else 1


def per_output(plan):
    """Return the instructions of a call per scalar of its result."""
    steps = joined(plan)
    sizes = [np.prod(step.shape_out) for step in steps]
    return sum(_step_cost(step) * size for step, size in zip(steps, sizes, strict=True)) / sizes[-1]


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
