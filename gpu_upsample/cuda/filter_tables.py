"""The tables that the filter kernel reads: windows and their weights."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.filter_choice import columns_of, filter_spec, rows_form
from gpu_upsample.cuda.filter_spec import GROUP, grouped, row_record
from gpu_upsample.cuda.spans import Span
from gpu_upsample.cuda.volumes import VolumeStep
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.steps import FilterStep
from gpu_upsample.plan.taps import Taps


def filter_tables(step: FilterStep, device: int, span: Span) -> memory.Tables:
    """Return the tables of a step on a device, for threads of that span along the columns.

    They are those of its axes: arrays of many shapes have some of their lengths in common.
    """
    real = step.result.accumulator
    rows = columns = _no_tables(device, 2, real)
    lines = _no_tables(device, 1, real)
    if step.rows is not None:
        # A kernel passes over NaN, unless it may add whatever is there.
        padded = filter_spec(step, 1, False).pads_rows or "int" in real
        rows = _row_tables(step.rows, device, real, padded)
    if step.columns is not None:
        columns = _column_tables(step.columns, device, real, span, _is_walked(step))
    if isinstance(step, VolumeStep):
        lines = _line_tables(step.lines, device, real)
    return memory.Tables((*rows.arrays, *columns.arrays, *lines.arrays))


@lru_cache
def _no_tables(device: int, integers: int, real: str) -> memory.Tables:
    """Return what stands for the tables of an axis that stays as it is, or is not there: so many of integers."""
    return memory.upload((*[np.zeros(1, np.uint32)] * integers, np.zeros(1, real), np.zeros(1, real)))


@kept
def _row_tables(taps: Taps, device: int, real: str, padded: bool) -> memory.Tables:
    (form, depth), reach, weight = rows_form(taps), np.zeros(1, np.uint32), taps.weight
    if form == "ring":
        weight = _right_aligned(taps, depth)
    if form == "sums":
        reached = taps.T
        reach = np.append(reached.start, taps.n_out).astype(np.uint32)  # an empty window may begin at the end
        weight = _records(reached, depth, -0.0 if padded else np.nan)
    bounds = _pairs(taps.start, taps.start + taps.count)
    return memory.upload((bounds, reach, weight.astype(real), _outside(taps, real)))


@kept
def _column_tables(taps: Taps, device: int, real: str, span: Span, walked: bool) -> memory.Tables:
    weight = _column_weights(taps, span, walked).astype(real)
    return memory.upload((taps.start.astype(np.uint32), taps.count.astype(np.uint32), weight, _outside(taps, real)))


@kept
def _line_tables(taps: Taps, device: int, real: str) -> memory.Tables:
    bounds = _pairs(taps.start, taps.start + taps.count)
    return memory.upload((bounds, taps.weight.astype(real), _outside(taps, real)))


def column_pitch(step: FilterStep) -> int:
    """Return the pitch of the table of the weights of the columns.

    That is how many weights a column has. But where windows are walked along, it is how many columns there are: the
    groups of a column's weights lie so many groups apart.
    """
    if step.columns is None:
        return 0
    return step.columns.n_out if _is_walked(step) else grouped(step.columns.width)


def _is_walked(step: FilterStep) -> bool:
    return columns_of(step, 1).form == "walk"


def _column_weights(taps: Taps, span: Span, walked: bool) -> Any:
    """Return the table of the weights of the columns.

    A row for each column, of whole groups. But where windows are walked along, the first groups of all columns come
    first, then the second ones: neighbouring threads read them together. Those that the threads of a span share come
    first; at the ends of a row, weights stand where the span's do, and -0.0 where there is no sample.
    """
    weight = np.pad(taps.weight, ((0, 0), (0, grouped(taps.width) - taps.weight.shape[1])))
    if span.phases:
        pixel, begin = span.ends(taps.n_out)
        k = np.arange(weight.shape[1]) - (taps.start[pixel] - begin)[:, None]
        inside, place = (k >= 0) & (k < taps.count[pixel, None]), np.clip(k, 0, taps.width - 1)
        weight[pixel] = np.where(inside, np.take_along_axis(weight[pixel], place, axis=1), -0.0)
        return np.concatenate([weight[span.first : span.first + span.phases], weight])
    return weight.reshape(taps.n_out, -1, GROUP).swapaxes(0, 1) if walked else weight


def _records(reached: Taps, depth: int, padding: float) -> Any:
    """Return the weights of the output rows that a source row reaches, padded to whole records."""
    weight = np.full((reached.n_out, row_record("sums", depth)), padding)
    weight[:, :depth] = np.where(np.arange(depth) < reached.count[:, None], reached.weight, weight[:, :depth])
    return weight


def _right_aligned(taps: Taps, width: int) -> Any:
    """Return the weights with every window at the end of its row: where it lies in the ring."""
    k = np.arange(width) - (width - taps.count)[:, None]
    return np.where(k >= 0, np.take_along_axis(taps.weight, np.maximum(k, 0), axis=1), 0)


def _pairs(first: Any, second: Any) -> Any:
    """Return two columns of a table as one, to be read together, and a row more: a thread may read ahead."""
    return np.append(np.stack((first, second), axis=1), [[0, 0]], axis=0).astype(np.uint32)


def _outside(taps: Taps, real: Any) -> Any:
    return np.zeros(taps.n_out, real) if taps.outside is None else taps.outside.astype(real)
