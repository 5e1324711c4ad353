"""Runs the weighted sums of a resampling plan on the GPU."""

from __future__ import annotations

import numpy as np

from gpu_upsample.cuda.filter_choice import columns_of, filter_lanes, filter_spec
from gpu_upsample.cuda.filter_tables import column_pitch, filter_tables
from gpu_upsample.cuda.grid import extent, grid, is_wide, lines_of
from gpu_upsample.cuda.run import Launch, runner
from gpu_upsample.plan.steps import FilterStep


def _filter_launch(step: FilterStep, device: int, x: int, out: int) -> Launch:
    """Return the launch of the weighted sums of one step."""
    (lanes, pieces), (rows_in, rows_out, width_in, width_out, inner) = filter_lanes(step, x, out), extent(step)
    threads, planes, across, strips, strip = grid(step, lanes, device)
    span, lines = columns_of(step, lanes, pieces).span, lines_of(step)
    tables = filter_tables(step, device, span)
    row_pitch = 0 if step.rows is None else step.rows.width  # read where rows are summed directly; known elsewhere
    limits = (*span.threads(lanes // inner), span.at * inner % 2**64)
    arguments = (
        planes, across // lines[1], strips, strip, rows_in, rows_out, width_in, width_out, inner,
        row_pitch, column_pitch(step), *limits, *lines, *tables.addresses,
        np.dtype(step.result.accumulator).type(step.fill),
    )  # fmt: skip
    return Launch(filter_spec(step, lanes, is_wide(step, lanes), x, pieces), threads, arguments, tables)


run_filter = runner(_filter_launch)
