"""Runs the steps of a resampling plan on the GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd, prod
from typing import Any

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.kernels import GROUP, THREADS, FilterSpec, SelectSpec, kept, loaded, row_record
from gpu_upsample.cuda.run import NARROW, run_kernel
from gpu_upsample.cuda.volumes import VolumeStep
from gpu_upsample.plan.steps import FilterStep, SelectStep
from gpu_upsample.plan.taps import Taps

# A window along a row up to this length is unrolled and its weights stay in registers; up to the other one, if one lane
# has it, and all threads have the same.
_UNROLLED, _UNROLLED_ALIKE = 8, 16
# Words that a thread may keep in registers for its lanes: weights, ring, sums; and with the samples of a row.
_REGISTERS, _WITH_ROW = 40, 60
# Rows that a thread may keep at most. A filter needs no more, unless a crop box reaches far outside the array.
_KEPT = 12
# Threads that keep a multiprocessor half as busy as it can be.
_BUSY = 1 << 10
# Output rows of a strip at most, for each source row that one needs: the longer a strip is, the longer the last
# threads keep the GPU waiting.
_STRIP = 4
# Shorter rows of pixels are walked along: they have more border than inside, and one kernel serves them all.
_SHORT = 32
# Threads of a warp. In rows of so many, for each tap, too many wait for those at the ends of the row that walk; but the
# weights of windows of more taps than this would need too many registers.
_WARP, _WARP_TAPS = 32, 4
# Bytes of a vector access.
_ACCESS = 16
# Lanes at most of a thread that selects.
_SELECTED = 24
# Pixels of so many scalars at most may lie in a span: a thread owns whole pixels. So threads store with gaps between
# them, first the one part of a sector of memory, then the other; scalars of a word or more are better stored in turn.
_PIXEL, _WORD = 4, 4
# Bytes of the cache that a load finds at once, and for how many more of these pieces it takes as long as for the
# instructions of a store that a scalar has for itself.
_LINE, _LINES_OF_A_STORE = 128, 2


def strip_rows(rows_read: int, rows_out: int, depth: int, threads: float) -> int:
    """Return how many output rows a thread walks down.

    The time of a strip is that of the source rows that it reads, those that the next strip reads again among them,
    and of a start. It takes the longer, the fewer threads there are to wait for memory in turn.

    Parameters
    ----------
    rows_read, rows_out : int
        Rows of a plane that are read, and those that are written.
    depth : int
        Source rows that an output row needs.
    threads : float
        Threads that there are if every strip is one row, in parts of those that keep the GPU half busy.
    """

    def time_of_a_row(strip: int) -> float:
        return ((strip - 1) * rows_read / rows_out + depth + 1) / strip * (1 + strip / threads)

    return min(range(1, min(rows_out, _STRIP * depth) + 1), key=time_of_a_row)


def _grid(step: FilterStep | SelectStep, lanes: int, device: int) -> tuple[int, int, int, int, int]:
    """Return (blocks, planes, threads across a row, strips of a plane, rows of a strip)."""
    planes, (rows_in, rows_out, _, width, _) = step.shape[0], _extent(step)
    across = -(-width // lanes) * _lines(step)[1]
    if isinstance(step, SelectStep):  # rows between those selected are not read
        rows_read, depth = min(rows_in, rows_out), 1
    else:
        rows_read, depth = rows_in, 1 if step.rows is None else step.rows.width
    busy = _BUSY * memory.multiprocessors(device)
    strip = strip_rows(rows_read, rows_out, depth, planes * rows_out * across / busy)
    strips = -(-rows_out // strip)
    return -(-planes * strips * across // THREADS), planes, across, strips, strip


def _fits(lanes: int, *arrays: tuple[int, int, int]) -> bool:
    """Say whether a thread may load and store so many neighbours.

    `arrays` holds triples of an array's address, modulo an access, its bytes per scalar and the length of its rows:
    every row must begin at a multiple of an access.
    """

    def aligned(address: int, itemsize: int, width: int) -> bool:
        return width % lanes == 0 and address % (gcd(lanes, _ACCESS // itemsize) * itemsize) == 0

    return all(aligned(*array) for array in arrays)


@dataclass(frozen=True)
class Launch:
    """All of a launch but the arrays."""

    spec: FilterSpec | SelectSpec
    blocks: int
    tables: memory.Tables
    arguments: tuple[Any, ...]


def _run(launch: Launch, x: Any, out: Any) -> None:
    run_kernel(launch.spec, launch.blocks, x, out, launch.tables, launch.arguments)


def _extent(step: FilterStep | SelectStep) -> tuple[int, int, int, int, int]:
    """Return the rows and the scalars of a line, of the input and of the output, and the scalars of a pixel."""
    _, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    return rows_in, rows_out, columns_in * inner, columns_out // _lines(step)[1] * inner, inner


def _lines(step: FilterStep | SelectStep) -> tuple[int, int]:
    """Return how many lines a row has, of the input and of the output."""
    return (step.lines.n_in, step.lines.n_out) if isinstance(step, VolumeStep) else (1, 1)


def _is_wide(step: FilterStep | SelectStep, lanes: int) -> bool:
    """Say whether flat indices need 64 bits, those of threads beyond the end of an array too."""
    return max(prod(step.shape) * _lines(step)[0], prod(step.shape_out)) + THREADS * lanes >= NARROW


# ---- spans --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Span:
    """Where the windows of every thread lie alike.

    Attributes
    ----------
    phases, step, shift : int
        The period of the kernels' specialisations.
    start, stop : int
        The output pixels, from the first one to before the last, whose windows lie so.
    first : int
        The first of them in whose place a thread may begin.
    at : int
        Where the samples begin of a thread in the place of the first pixel of a row.
    """

    phases: int
    step: int
    shift: int
    start: int
    stop: int
    first: int
    at: int


NO_SPAN = Span(0, 0, 0, 0, 0, 0, 0)


def _find_span(start: Any, pixels: int, alike: Callable[[int], Any]) -> Span:
    """Return the period of an axis in threads of so many output pixels, if it covers half of them.

    Parameters
    ----------
    start : ndarray
        Where the windows begin.
    pixels : int
        Output pixels of a thread.
    alike : callable
        ``alike(n)`` says of every window but the last n whether the one n further on has the same weights.
    """
    middle = len(start) // 2
    for phases in (n for n in range(1, pixels + 1) if pixels % n == 0 and middle + n < len(start)):
        step = int(start[middle + phases] - start[middle])
        repeated = alike(phases) & (start[phases:] - start[:-phases] == step)
        breaks = np.flatnonzero(~repeated)
        begin = int(breaks[breaks < middle].max(initial=-1)) + 1
        first = -(-begin // pixels) * pixels
        stop = int(breaks[breaks >= middle].min(initial=len(repeated))) + phases
        if 2 * (stop - first) < len(start) or stop - first < pixels:
            continue
        begins, i = start[first : first + phases] - start[first], np.arange(phases)
        for shift in range(phases):
            if np.array_equal(begins, (i * step + shift) // phases):
                return Span(phases, step, shift, begin, stop, first, int(start[first]) - first // phases * step)
    return NO_SPAN


@lru_cache(maxsize=1024)
def _taps_span(taps: Taps, pixels: int, real: str) -> Span:
    weight, whole = taps.weight.astype(real), taps.count == taps.width
    if taps.outside is not None:
        whole = whole & (taps.outside == 0)

    def alike(n: int) -> Any:
        return whole[n:] & whole[:-n] & (weight[n:] == weight[:-n]).all(axis=1)

    return _find_span(taps.start, pixels, alike)


# ---- filter -------------------------------------------------------------------------------------------------
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


@lru_cache(maxsize=256)
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


@lru_cache(maxsize=1024)
def _columns_form(taps: Taps | None, inner: int, lanes: int, real: str, itemsize: int) -> Columns:
    """Return how the sums along a row are formed by threads of so many lanes, each of so many bytes."""
    if taps is None:
        return Columns("none", 0, 0, NO_SPAN, 0)
    known = 1 if inner == 1 else 0
    if _walks(taps, inner):
        alike = inner == 1 and taps.n_out >= _SHORT and taps.width <= _UNROLLED_ALIKE
        span = _taps_span(taps, 1, real) if alike else NO_SPAN
        return Columns("span", taps.width, taps.width, span, 1) if span.phases else Columns("walk", 0, 0, span, known)
    pixel = inner if inner == 1 or (inner <= _PIXEL and itemsize < _WORD) else 0
    narrow = itemsize >= _WORD and taps.width <= _WARP_TAPS and taps.n_out * inner <= _WARP * taps.width * lanes
    span = _taps_span(taps, lanes // pixel, real) if pixel and lanes % pixel == 0 and not narrow else NO_SPAN
    if span.phases:
        return Columns("span", taps.width, taps.width, span, pixel)
    joint = lanes > 1 and inner % lanes == 0
    return Columns("joint" if joint else "apart", taps.width, int(taps.count.min()), NO_SPAN, known)


def _walks(taps: Taps, inner: int) -> bool:
    """Return whether a thread has one lane: it walks along its window, unless the windows of all threads are alike."""
    return taps.width > _UNROLLED or (taps.n_out < _SHORT and inner <= _PIXEL)


def _columns_of(step: FilterStep, lanes: int) -> Columns:
    return _columns_form(step.columns, step.shape[3], lanes, step.result.accumulator, step.result.itemsize)


@lru_cache(maxsize=1024)
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
    width, word = _extent(step)[3], step.source.itemsize
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
    vector = gcd(_ACCESS // step.source.itemsize, apart, columns * inner)
    if x % (vector * step.source.itemsize):
        return spec
    shared = replace(spec, vector=vector, lead=span.at * inner % vector)
    return shared if 2 * loaded(shared) <= vector * loaded(spec) else spec


@lru_cache(maxsize=1024)
def lane_counts(step: FilterStep) -> tuple[int, ...]:
    """Return how many lanes a thread may own, the best first, by what each of them keeps in registers."""
    inner = step.shape[3]
    counts = [n for n in (16, 8, 4, 2, 1) if n * step.result.itemsize <= _ACCESS]
    if step.columns is not None and _walks(step.columns, inner):
        return (1,)  # neighbours walk along neighbouring samples
    pixels = [n * inner for n in counts] if step.columns is not None and 1 < inner <= _PIXEL else []

    def fits(lanes: int) -> bool:
        spec = filter_spec(step, lanes, False, 0)
        return lanes == 1 or (kept(spec) <= _REGISTERS and kept(spec) + loaded(spec) <= _WITH_ROW)

    spans = [n for n in pixels if filter_spec(step, n, False).columns == "span"]
    return tuple(n for n in (*spans, *counts) if fits(n))


def filter_lanes(step: FilterStep, x: int, out: int) -> int:
    """Return how many lanes a thread owns: the best number that the addresses, modulo an access, allow."""
    _, _, width_in, width_out, _ = _extent(step)
    target, origin = (out, step.result.itemsize, width_out), (x, step.source.itemsize, width_in)

    def usable(lanes: int) -> bool:
        spec = filter_spec(step, lanes, False)
        loads = spec.columns in ("none", "joint")
        return spec.dealt or (_fits(lanes, target, origin) if loads else _fits(lanes, target))

    return next(lanes for lanes in lane_counts(step) if usable(lanes))


@lru_cache(maxsize=1024)
def _filter_launch(step: FilterStep, device: int, x: int, out: int) -> Launch:
    """Return the launch for arrays on a device at these addresses, modulo an access."""
    lanes, (rows_in, rows_out, width_in, width_out, inner) = filter_lanes(step, x, out), _extent(step)
    blocks, *place = _grid(step, lanes, device)
    span = _columns_of(step, lanes).span
    rows, columns = _row_width(step.rows), _column_pitch(step)
    tables = _filter_tables(step, device)
    table = tables.addresses
    limits = (span.start * inner, span.stop * inner, span.first, span.at * inner % 2**64)
    arguments = (
        *place, rows_in, rows_out, width_in, width_out, inner, *table[:3], rows, *table[3:7], columns, table[7],
        *limits, *_lines(step), *table[8:], np.dtype(step.result.accumulator).type(step.fill),
    )  # fmt: skip
    return Launch(filter_spec(step, lanes, _is_wide(step, lanes), x), blocks, tables, arguments)


def run_filter(step: FilterStep, x: Any, out: Any) -> None:
    """Form the weighted sums of one step; both arrays are flat and of the step's carriers."""
    _run(_filter_launch(step, x.device.id, x.data.ptr % _ACCESS, out.data.ptr % _ACCESS), x, out)


# ---- selection ----------------------------------------------------------------------------------------------
@lru_cache(maxsize=256)
def _select_tables(step: SelectStep, device: int) -> memory.Tables:
    chosen = (np.zeros(1, np.int64) if index is None else index for index in (step.rows, step.columns))
    return memory.upload(tuple(index.astype(np.uint32) for index in chosen))  # -1 becomes 2**32 - 1


@lru_cache(maxsize=1024)
def select_span(step: SelectStep, lanes: int) -> Span:
    """Return where the samples of every thread of so many lanes lie alike."""
    inner = step.shape[3]
    pixels = inner == 1 or (inner <= _PIXEL and step.source.itemsize == 1)
    if step.columns is None or len(step.columns) < _SHORT or not pixels or lanes % inner:
        return NO_SPAN
    known = step.columns >= 0
    return _find_span(step.columns, lanes // inner, lambda n: known[n:] & known[:-n])


@lru_cache(maxsize=1024)
def select_lane_counts(step: SelectStep) -> tuple[int, ...]:
    """Return how many lanes a thread may own, the best first."""
    inner = step.shape[3]
    counts = [n for n in (16, 8, 4, 2, 1) if n * step.source.itemsize <= _ACCESS]
    if step.columns is None:
        return tuple(counts)
    pixels = [n * inner for n in counts if inner > 1 and n * inner <= _SELECTED]
    return (*(n for n in pixels if select_span(step, n).phases), *counts)


def select_spec(step: SelectStep, lanes: int, wide: bool) -> SelectSpec:
    """Return the specialisation of the selection kernel for a step."""
    span, inner = select_span(step, lanes), step.shape[3]
    known = inner if span.phases else int(inner == 1)
    return SelectSpec(
        step.source.itemsize, step.rows is not None, step.columns is not None, span.phases, span.step, span.shift,
        known, lanes, step.has_fill, wide,
    )  # fmt: skip


def select_lanes(step: SelectStep, x: int, out: int) -> int:
    """Return how many lanes a thread owns: the best number that the addresses, modulo an access, allow."""
    _, _, width_in, width_out, _ = _extent(step)
    target, origin = ((address, step.source.itemsize, width) for address, width in ((out, width_out), (x, width_in)))
    vectors = (target,) if step.columns is not None else (target, origin)
    return next(lanes for lanes in select_lane_counts(step) if _fits(lanes, *vectors))


@lru_cache(maxsize=1024)
def _select_launch(step: SelectStep, device: int, x: int, out: int) -> Launch:
    """Return the launch for arrays on a device at these addresses, modulo an access."""
    lanes, (rows_in, rows_out, width_in, width_out, inner) = select_lanes(step, x, out), _extent(step)
    blocks, *place = _grid(step, lanes, device)
    span, tables = select_span(step, lanes), _select_tables(step, device)
    arguments = (
        *place, rows_in, rows_out, width_in, width_out, inner, *tables.addresses,
        span.start * inner, span.stop * inner, lanes, step.source.bits(step.fill),
    )  # fmt: skip
    return Launch(select_spec(step, lanes, _is_wide(step, lanes)), blocks, tables, arguments)


def run_select(step: SelectStep, x: Any, out: Any) -> None:
    """Copy the selected samples of one step; both arrays are flat and of the step's carriers."""
    _run(_select_launch(step, x.device.id, x.data.ptr % _ACCESS, out.data.ptr % _ACCESS), x, out)
