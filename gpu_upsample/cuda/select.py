"""Runs the selections of a resampling plan on the GPU."""

from __future__ import annotations

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.grid import extent, grid, is_wide, pieces_of
from gpu_upsample.cuda.run import ACCESS, Launch, runner
from gpu_upsample.cuda.select_kernels import SelectSpec
from gpu_upsample.cuda.spans import NO_SPAN, PIXEL, SHORT, Span, find_span
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.steps import SelectStep

# Lanes that a thread owns at most, where they are whole pixels.
_MAX_PIXEL_LANES = 24


@kept
def _select_tables(step: SelectStep, device: int) -> memory.Tables:
    chosen = (np.zeros(1, np.int64) if index is None else index for index in (step.rows, step.columns))
    return memory.upload_uint32(chosen)  # -1 becomes 2**32 - 1


@kept
def select_span(step: SelectStep, lanes: int, pieces: int = 1) -> Span:
    """Return where the samples of every thread of so many lanes lie alike."""
    inner = step.shape[3]
    pixels = inner == 1 or (inner <= PIXEL and step.source.itemsize == 1)
    if step.columns is None or len(step.columns) < SHORT or not pixels or lanes % inner or pieces > 1:
        return NO_SPAN
    known = step.columns >= 0
    return find_span(step.columns, lanes // inner, lambda n: known[n:] & known[:-n])


@kept
def select_lane_counts(step: SelectStep) -> tuple[int, ...]:
    """Return how many lanes a thread may own, the best first."""
    inner = step.shape[3]
    counts = [n for n in (16, 8, 4, 2, 1) if n * step.source.itemsize <= ACCESS]
    if step.columns is None:
        return tuple(counts)
    pixels = [n * inner for n in counts if inner > 1 and n * inner <= _MAX_PIXEL_LANES]
    return (*(n for n in pixels if select_span(step, n).phases), *counts)


def select_spec(step: SelectStep, lanes: int, pieces: int, wide: bool) -> SelectSpec:
    """Return the specialisation of the selection kernel for a step."""
    span, inner = select_span(step, lanes, pieces), step.shape[3]
    known = inner if span.phases else int(inner == 1)
    return SelectSpec(
        step.source.itemsize, step.rows is not None, step.columns is not None, span.phases, span.step, span.shift,
        known, lanes, step.has_fill, wide, pieces,
    )  # fmt: skip


def select_lanes(step: SelectStep, x: int, out: int) -> tuple[int, int]:
    """Return how many lanes a thread owns, and in how many pieces: the best that addresses, modulo `ACCESS`, allow."""
    _, _, width_in, width_out, inner = extent(step)
    target, origin = ((address, step.source.itemsize, width) for address, width in ((out, width_out), (x, width_in)))
    vectors = (target,) if step.columns is not None else (target, origin)

    def pieces(lanes: int) -> int:
        number = pieces_of(lanes, *vectors)
        torn = number > 1 and inner > 1 and select_span(step, lanes).phases  # pixels, that lie in several pieces
        return 0 if torn else number

    return next((lanes, number) for lanes in select_lane_counts(step) if (number := pieces(lanes)))


def _select_launch(step: SelectStep, device: int, x: int, out: int) -> Launch:
    """Return the launch that copies the selected samples of one step."""
    (lanes, pieces), (rows_in, rows_out, width_in, width_out, inner) = select_lanes(step, x, out), extent(step)
    threads, *place = grid(step, lanes, device)
    span, tables = select_span(step, lanes, pieces), _select_tables(step, device)
    arguments = (
        *place, rows_in, rows_out, width_in, width_out, inner, *tables.addresses,
        span.start * inner, span.stop * inner, lanes, step.source.bits(step.fill),
    )  # fmt: skip
    return Launch(select_spec(step, lanes, pieces, is_wide(step, lanes)), threads, arguments, tables)


run_select = runner(_select_launch)
