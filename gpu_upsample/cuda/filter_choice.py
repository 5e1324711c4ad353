"""Chooses how the filter kernel runs a step: its forms, and how many lanes a thread owns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd, lcm
from typing import Any

import numpy as np

from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.grid import extent, pieces_of
from gpu_upsample.cuda.run import ACCESS
from gpu_upsample.cuda.spans import NO_SPAN, PIXEL, SHORT, Span, find_span
from gpu_upsample.cuda.volumes import VolumeStep
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.steps import FilterStep
from gpu_upsample.plan.taps import Taps

# The longest window along a row that is unrolled, with weights in registers: of a thread's own, and of threads of one
# lane that all have the same weights. A thread walks along longer ones in a loop.
_MAX_UNROLLED, _MAX_UNROLLED_ALIKE = 8, 16
# Words of registers at most: for what a thread keeps from one source row to the next, and for that and the samples of a
# row. And how many more it may use where fewer lanes would not fill whole words of the result.
_MAX_KEPT_WORDS, _MAX_WORDS, _EXTRA_WORDS = 40, 60, 16
# Rows that a thread keeps at most. A filter needs no more, unless a crop box reaches far outside the array.
_MAX_KEPT_ROWS = 12
# Threads of a warp.
_WARP = 32
# Bytes of a word. If threads own whole pixels of several scalars, each store of a warp leaves gaps, and fills half a
# sector of memory at a time. So words are dealt to threads in turn instead; narrower scalars are faster as pixels.
_WORD = 4
# Bytes of a cache line; and how many more lines for a load cost as much as one more store.
_LINE, _LINES_OF_A_STORE = 128, 2


def rows_form(taps: Taps | None) -> tuple[str, int]:
    """Return how the sums along the rows are formed, and the rows that are kept for it."""
    if taps is None:
        return "none", 0
    kept = min(taps.width, taps.overlap)
    if kept > _MAX_KEPT_ROWS:
        return "direct", 1
    return ("ring", kept) if taps.width == kept else ("sums", kept)


@dataclass(frozen=True)
class Columns:
    """How the sums along a row are formed: the fields of `FilterSpec`, and the limits of the span."""

    form: str
    width: int
    least: int
    span: Span
    inner: int


@kept
def columns_of(step: FilterStep, lanes: int, pieces: int = 1) -> Columns:
    """Return how the sums along a row are formed by threads of so many lanes, in so many pieces."""
    taps, inner, itemsize, real = step.columns, step.shape[3], step.result.itemsize, step.result.accumulator
    if taps is None:
        return Columns("none", 0, 0, NO_SPAN, 0)
    known = 1 if inner == 1 else 0
    if _walks(taps, inner):
        alike = inner == 1 and taps.n_out >= SHORT and taps.width <= _MAX_UNROLLED_ALIKE
        span = _taps_span(taps, 1, real) if alike else NO_SPAN
        return Columns("span", taps.width, taps.width, span, 1) if span.phases else Columns("walk", 0, 0, span, known)
    pixel = inner if inner == 1 or (inner <= PIXEL and itemsize < _WORD) else 0
    shared = pieces == 1 and pixel and lanes % pixel == 0
    span = _taps_span(taps, lanes // pixel, real) if shared else NO_SPAN
    if span.phases:
        return Columns("span", taps.width, taps.width, span, pixel)
    joint = lanes > 1 and inner % lanes == 0
    return Columns("joint" if joint else "apart", taps.width, int(taps.count.min()), NO_SPAN, known)


def _walks(taps: Taps, inner: int) -> bool:
    """Return whether a thread has one lane: it walks along its window, unless the windows of all threads are alike."""
    return taps.width > _MAX_UNROLLED or (taps.n_out < SHORT and inner <= PIXEL)


@kept
def _taps_span(taps: Taps, pixels: int, real: str) -> Span:
    weight, whole = taps.weight.astype(real), taps.count == taps.width
    if taps.outside is not None:
        whole = whole & (taps.outside == 0)

    def alike(n: int) -> Any:
        return whole[n:] & whole[:-n] & (weight[n:] == weight[:-n]).all(axis=1)

    span = find_span(taps.start, pixels, alike)
    return span if span.phases and _is_cut_off(taps, span) else NO_SPAN


def _is_cut_off(taps: Taps, span: Span) -> bool:
    """Return whether the windows at the ends of a row are what is left of the span's, inside of the row."""
    pixel, begin = span.ends(taps.n_out)
    start, count, place = taps.start[pixel, None], taps.count[pixel, None], begin[:, None] + np.arange(taps.width)
    window, inside = (place >= start) & (place < start + count), (place >= 0) & (place < taps.n_in)
    return bool((window == inside).all() and (window.sum(axis=1, keepdims=True) == count).all())


@kept
def filter_spec(step: FilterStep, lanes: int, wide: bool, x: int = 1, pieces: int = 1) -> FilterSpec:
    """Return the specialisation of the filter kernel for a step, and an input at that address, modulo `ACCESS`."""
    rows, depth = rows_form(step.rows)
    columns = columns_of(step, lanes, pieces)
    lines = step.lines if isinstance(step, VolumeStep) else None
    fill = any(taps is not None and taps.outside is not None for taps in (step.rows, step.columns, lines))
    span = columns.span
    spec = FilterSpec(
        step.source.name, step.result.name, rows, depth, columns.form, columns.width, columns.least, span.phases,
        span.step, span.shift, columns.inner, lanes, fill, wide,
        step.rows is not None and step.rows.n_out < step.rows.n_in, lines=0 if lines is None else lines.width,
        pieces=pieces,
    )  # fmt: skip
    return _with_vectors(spec, step, span, x) if span.phases else spec


def _lies_apart(step: FilterStep, lanes: int) -> bool:
    """Return whether windows lie so far apart that a line is best dealt to threads scalar by scalar.

    Windows of a thread's own are read sample by sample, by all threads of a warp at once. If lanes are neighbours, the
    samples lie in as many more lines of the cache as a thread has lanes. If they are dealt, each is stored for itself.
    """
    columns, width, word = columns_of(step, lanes), extent(step)[3], step.source.itemsize
    if columns.form != "apart" or min(word, step.result.itemsize) < _WORD or width < lanes * (lanes - 1):
        return False
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


def _is_small(spec: FilterSpec, more: int = 0) -> bool:
    """Return whether a thread's registers hold what it keeps, or the sums of a row, and the samples of a row."""
    kept = max(spec.kept, spec.lanes)
    return spec.lanes == 1 or (kept <= _MAX_KEPT_WORDS + more and spec.kept + spec.loaded <= _MAX_WORDS + more)


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
        return _is_small(spec, _EXTRA_WORDS if spec.columns == "span" and lanes <= words > inner else 0)

    spans = [n for n in pixels if filter_spec(step, n, False).columns == "span"]
    return tuple(n for n in (*spans, *counts) if fits(n))


def filter_lanes(step: FilterStep, x: int, out: int) -> tuple[int, int]:
    """Return how many lanes a thread owns, and in how many pieces: the best that addresses, modulo `ACCESS`, allow."""
    return next((lanes, pieces) for lanes in lane_counts(step) if (pieces := _pieces(step, lanes, x, out)))


def _pieces(step: FilterStep, lanes: int, x: int, out: int) -> int:
    """Return in how many pieces a thread may own so many lanes; 0 if it may not."""
    if _lies_apart(step, lanes):
        return lanes
    _, _, width_in, width_out, inner = extent(step)
    form = columns_of(step, lanes).form
    target, origin = (out, step.result.itemsize, width_out), (x, step.source.itemsize, width_in)
    pieces = pieces_of(lanes, *((target, origin) if form in ("none", "joint") else (target,)))
    if pieces > 1:
        torn = form == "joint" or (form == "span" and inner > 1)  # lanes of one pixel, that lie in several pieces
        return 0 if torn or not _is_small(filter_spec(step, lanes, False, 0, pieces)) else pieces
    return pieces
