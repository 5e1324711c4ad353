"""Runs the weighted sums of a resampling plan on the GPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd, lcm
from typing import Any

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.filter_spec import GROUP, MANY_WORDS, FilterSpec, row_record
from gpu_upsample.cuda.grid import extent, fits, grid, is_wide, lines_of
from gpu_upsample.cuda.run import ACCESS, Launch, runner
from gpu_upsample.cuda.spans import NO_SPAN, PIXEL, SHORT, Span, find_span
from gpu_upsample.cuda.volumes import VolumeStep
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.steps import FilterStep
from gpu_upsample.plan.taps import Taps

# A window along a row up to this length is unrolled and its weights stay in registers; up to the other one, if one lane
# has it, and all threads have the same.
_UNROLLED, _UNROLLED_ALIKE = 8, 16
# Words that a thread may keep in registers with the samples of a row, beside `MANY_WORDS` for its lanes alone. More
# where fewer lanes would be stored in less than whole words.
_WITH_ROW, _MORE = 60, 16
# Rows that a thread may keep at most. A filter needs no more, unless a crop box reaches far outside the array.
_KEPT = 12
# Threads of a warp. In rows of so many, for each tap, too many wait for those at the ends of the row that walk; but the
# weights of windows of more taps than this would need too many registers.
_WARP, _WARP_TAPS = 32, 4
# A thread that owns pixels of several scalars stores with gaps between its stores, first the one part of a sector of
# memory, then the other. Scalars of so many bytes are better stored in turn.
_WORD = 4
# Bytes of the cache that a load finds at once, and for how many more of these pieces it takes as long as for the
# instructions of a store that a scalar has for itself.
_LINE, _LINES_OF_A_STORE = 128, 2


@kept
def _taps_span(taps: Taps, pixels: int, real: str) -> Span:
    weight, whole = taps.weight.astype(real), taps.count == taps.width
    if taps.outside is not None:
        whole = whole & (taps.outside == 0)

    def alike(n: int) -> Any:
        return whole[n:] & whole[:-n] & (weight[n:] == weight[:-n]).all(axis=1)

    return find_span(taps.start, pixels, alike)


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


def _right_aligned(taps: Taps, width: int) -> Any:
    """Return the weights with every window at the end of its row: where it lies in the ring."""
    k = np.arange(width) - (width - taps.count)[:, None]
    return np.where(k >= 0, np.take_along_axis(taps.weight, np.maximum(k, 0), axis=1), 0)


def _is_walked(step: FilterStep) -> bool:
    return _columns_of(step, 1).form == "walk"


def _grouped(width: int) -> int:
    return -(-width // GROUP) * GROUP


def _column_weights(step: FilterStep, taps: Taps) -> Any:
    """Return the table of the weights of the columns.

    A row for each column, of whole groups. But where windows are walked along, the first groups of all columns come
    first, then the second ones: neighbouring threads read them together.
    """
    weight = np.pad(taps.weight, ((0, 0), (0, _grouped(taps.width) - taps.weight.shape[1])))
    return weight.reshape(taps.n_out, -1, GROUP).swapaxes(0, 1) if _is_walked(step) else weight


def _column_pitch(step: FilterStep) -> int:
    """Return how many weights a row of that table has, or, where windows are walked along, how many columns."""
    if step.columns is None:
        return 1
    return step.columns.n_out if _is_walked(step) else _grouped(step.columns.width)


def _records(reached: Taps, depth: int, padding: float) -> Any:
    """Return the weights of the output rows that a source row reaches, padded to whole records."""
    weight = np.full((reached.n_out, row_record("sums", depth)), padding)
    weight[:, :depth] = np.where(np.arange(depth) < reached.count[:, None], reached.weight, weight[:, :depth])
    return weight


def _pairs(first: Any, second: Any) -> Any:
    """Return two columns of a table as one, to be read together, and a row more: a thread may read ahead."""
    return np.append(np.stack((first, second), axis=1), [[0, 0]], axis=0).astype(np.uint32)


@kept
def _filter_tables(step: FilterStep, device: int) -> memory.Tables:
    real = step.result.accumulator
    nothing = np.zeros(1, np.uint32)
    rows: tuple[Any, ...] = (nothing, nothing, np.zeros(1, real), np.zeros(1, real))
    if step.rows is not None:
        taps, (form, depth) = step.rows, _rows_form(step.rows)
        reach, weight = nothing, taps.weight
        if form == "ring":
            weight = _right_aligned(taps, depth)
        if form == "sums":
            reached = taps.T
            reach = np.append(reached.start, taps.n_out).astype(np.uint32)  # an empty window may begin at the end
            # A kernel passes over NaN, unless it may add whatever is there.
            padded = filter_spec(step, 1, False).pads_rows or "int" in real
            weight = _records(reached, depth, -0.0 if padded else np.nan)
        rows = (_pairs(taps.start, taps.start + taps.count), reach, weight.astype(real), _outside(taps, real))
    columns: tuple[Any, ...] = (nothing, nothing, np.zeros(1, real), np.zeros(1, real))
    if step.columns is not None:
        taps = step.columns
        columns = (
            taps.start.astype(np.uint32), taps.count.astype(np.uint32), _column_weights(step, taps).astype(real),
            _outside(taps, real),
        )  # fmt: skip
    lines: tuple[Any, ...] = (nothing, np.zeros(1, real), np.zeros(1, real))
    if isinstance(step, VolumeStep):
        taps = step.lines
        lines = (_pairs(taps.start, taps.start + taps.count), taps.weight.astype(real), _outside(taps, real))
    return memory.upload(tuple(np.ascontiguousarray(table) for table in (*rows, *columns, *lines)))


def _row_width(taps: Taps | None) -> int:
    """Return the length of a row of the table of row weights."""
    if taps is None:
        return 1
    form, depth = _rows_form(taps)
    return taps.width if form == "direct" else row_record(form, depth)


@dataclass(frozen=True)
class Columns:
    """How the sums along a row are formed: the fields of `FilterSpec`, and the limits of the span."""

    form: str
    width: int
    least: int
    span: Span
    inner: int


@kept
def _columns_of(step: FilterStep, lanes: int) -> Columns:
    """Return how the sums along a row are formed by threads of so many lanes."""
    taps, inner, itemsize, real = step.columns, step.shape[3], step.result.itemsize, step.result.accumulator
    if taps is None:
        return Columns("none", 0, 0, NO_SPAN, 0)
    known = 1 if inner == 1 else 0
    if _walks(taps, inner):
        alike = inner == 1 and taps.n_out >= SHORT and taps.width <= _UNROLLED_ALIKE
        span = _taps_span(taps, 1, real) if alike else NO_SPAN
        return Columns("span", taps.width, taps.width, span, 1) if span.phases else Columns("walk", 0, 0, span, known)
    pixel = inner if inner == 1 or (inner <= PIXEL and itemsize < _WORD) else 0
    narrow = itemsize >= _WORD and taps.width <= _WARP_TAPS and taps.n_out * inner <= _WARP * taps.width * lanes
    span = _taps_span(taps, lanes // pixel, real) if pixel and lanes % pixel == 0 and not narrow else NO_SPAN
    if span.phases:
        return Columns("span", taps.width, taps.width, span, pixel)
    joint = lanes > 1 and inner % lanes == 0
    return Columns("joint" if joint else "apart", taps.width, int(taps.count.min()), NO_SPAN, known)


def _walks(taps: Taps, inner: int) -> bool:
    """Return whether a thread has one lane: it walks along its window, unless the windows of all threads are alike."""
    return taps.width > _UNROLLED or (taps.n_out < SHORT and inner <= PIXEL)


@kept
def filter_spec(step: FilterStep, lanes: int, wide: bool, x: int = 1) -> FilterSpec:
    """Return the specialisation of the filter kernel for a step, and an input at that address, modulo an access."""
    rows, depth = _rows_form(step.rows)
    columns = _columns_of(step, lanes)
    lines = step.lines if isinstance(step, VolumeStep) else None
    fill = any(taps is not None and taps.outside is not None for taps in (step.rows, step.columns, lines))
    span = columns.span
    spec = FilterSpec(
        step.source.name, step.result.name, rows, depth, columns.form, columns.width, columns.least, span.phases,
        span.step, span.shift, columns.inner, lanes, fill, wide,
        step.rows is not None and step.rows.n_out < step.rows.n_in, lines=0 if lines is None else lines.width,
        dealt=_is_dealt(step, columns, lanes),
    )  # fmt: skip
    return _with_vectors(spec, step, span, x) if span.phases else spec


def _is_dealt(step: FilterStep, columns: Columns, lanes: int) -> bool:
    """Return whether a line is dealt to threads of so many lanes, scalar by scalar.

    Windows of a thread's own are read sample by sample, by all threads of a warp at once. If lanes are neighbours, the
    samples lie in as many more lines of the cache as a thread has lanes. If they are dealt, each is stored for itself.
    """
    width, word = extent(step)[3], step.source.itemsize
    if columns.form != "apart" or min(word, step.result.itemsize) < _WORD or width < lanes * (lanes - 1):
        return False  # of the lanes of a thread, only the last may lie beyond the end of the line
    assert step.columns is not None
    more = (lanes - 1) * _WARP * word * _read_of(step.columns) / step.columns.n_out / _LINE
    stores = 1 if step.rows is None else step.rows.n_out / _read_of(step.rows)
    return columns.width * more > _LINES_OF_A_STORE * stores


def _read_of(taps: Taps) -> int:
    """Return over how many samples the windows extend: fewer than there are if there is a crop box."""
    return int(np.ptp(taps.start)) + taps.width


def _with_vectors(spec: FilterSpec, step: FilterStep, span: Span, x: int) -> FilterSpec:
    """Let threads whose samples lie alike load several at once, if that is half as many loads or fewer."""
    _, _, columns, inner = step.shape
    apart = spec.lanes // inner // spec.phases * spec.step * inner  # samples between the begins of two threads
    vector = gcd(ACCESS // step.source.itemsize, apart, columns * inner)
    if x % (vector * step.source.itemsize):
        return spec
    shared = replace(spec, vector=vector, lead=span.at * inner % vector)
    return shared if 2 * shared.loaded <= vector * spec.loaded else spec


@kept
def lane_counts(step: FilterStep) -> tuple[int, ...]:
    """Return how many lanes a thread may own, the best first, by what each of them keeps in registers."""
    inner = step.shape[3]
    counts = [n for n in (16, 8, 4, 2, 1) if n * step.result.itemsize <= ACCESS]
    if step.columns is not None and _walks(step.columns, inner):
        return (1,)  # neighbours walk along neighbouring samples
    pixels = [n * inner for n in counts] if step.columns is not None and 1 < inner <= PIXEL else []

    def fits(lanes: int) -> bool:
        spec, words = filter_spec(step, lanes, False, 0), lcm(inner, max(1, _WORD // step.result.itemsize))
        more = _MORE if spec.columns == "span" and lanes <= words > inner else 0
        return lanes == 1 or (spec.kept <= MANY_WORDS + more and spec.kept + spec.loaded <= _WITH_ROW + more)

    spans = [n for n in pixels if filter_spec(step, n, False).columns == "span"]
    return tuple(n for n in (*spans, *counts) if fits(n))


def filter_lanes(step: FilterStep, x: int, out: int) -> int:
    """Return how many lanes a thread owns: the best number that the addresses, modulo an access, allow."""
    _, _, width_in, width_out, _ = extent(step)
    target, origin = (out, step.result.itemsize, width_out), (x, step.source.itemsize, width_in)

    def usable(lanes: int) -> bool:
        spec = filter_spec(step, lanes, False)
        loads = spec.columns in ("none", "joint")
        return spec.dealt or (fits(lanes, target, origin) if loads else fits(lanes, target))

    return next(lanes for lanes in lane_counts(step) if usable(lanes))


def _filter_launch(step: FilterStep, device: int, x: int, out: int) -> Launch:
    """Return the launch of the weighted sums of one step."""
    lanes, (rows_in, rows_out, width_in, width_out, inner) = filter_lanes(step, x, out), extent(step)
    threads, *place = grid(step, lanes, device)
    span = _columns_of(step, lanes).span
    rows, columns = _row_width(step.rows), _column_pitch(step)
    tables = _filter_tables(step, device)
    table = tables.addresses
    limits = (span.start * inner, span.stop * inner, span.first, span.at * inner % 2**64)
    arguments = (
        *place, rows_in, rows_out, width_in, width_out, inner, *table[:3], rows, *table[3:7], columns, table[7],
        *limits, *lines_of(step), *table[8:], np.dtype(step.result.accumulator).type(step.fill),
    )  # fmt: skip
    return Launch(filter_spec(step, lanes, is_wide(step, lanes), x), threads, arguments, tables)


run_filter = runner(_filter_launch)
