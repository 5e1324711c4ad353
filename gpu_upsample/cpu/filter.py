"""Runs the weighted sums of a resampling plan on the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Room, Tables
from gpu_upsample.cpu.arithmetic import lanes_of
from gpu_upsample.cpu.band_kernels import band_kernel
from gpu_upsample.cpu.bands import Bands
from gpu_upsample.cpu.filter_kernels import filter_kernel, turned_kernel
from gpu_upsample.cpu.job import TOGETHER, Job, lengths_of, lines_of, prepared
from gpu_upsample.cpu.permute import registers_at_once
from gpu_upsample.cpu.record import ARGUMENTS, COLLECTED, FUNCTION, ROOM
from gpu_upsample.cpu.tables import MAX_REGISTERS, Blocks, blocks_of, distinct
from gpu_upsample.cpu.vectors import BYTES, aligned_copy
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.dtypes import FOREIGN
from gpu_upsample.plan.steps import FilterStep
from gpu_upsample.plan.taps import Taps, selected_taps

# Rows are turned into columns in a buffer of at most this many bytes, which the second cache shares with its tables.
_TURNED_BYTES = 1 << 21
# Windows along a row of so many samples, as linear, cubic and lanczos ones have, have kernels of their own.
_UNROLLED = (2, 4, 6, 8)

SHORT = FOREIGN["uint8 sixteenth"]
"""The storage of bytes whose sums fit into 16 bits."""

_NONE = np.zeros(1, np.int64)
# Windows of one sample that is its own sum.
_ITSELF = selected_taps(np.zeros(1, np.int64), 1)


# ---- tables -------------------------------------------------------------------------------------------------
# They are those of an axis, not of a step: arrays of many shapes have some of their lengths in common.
def _outside(taps: Taps, dtype: np.dtype[Any]) -> Any:
    return np.zeros(taps.n_out, dtype) if taps.outside is None else taps.outside.astype(dtype)


def _windows(taps: Taps, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    start, count = map(np.ascontiguousarray, (taps.start, taps.count))
    return start, count, taps.weight.astype(dtype, order="C").ravel(), _outside(taps, dtype)


@kept
def _tables_of_rows(taps: Taps, dtype: np.dtype[Any]) -> Tables:
    """Return the tables of the windows down the rows.

    The last one tells for each window how many there are from it on that begin and end where it does, up to TOGETHER.
    """
    changes = np.flatnonzero((np.diff(taps.start) != 0) | (np.diff(taps.count) != 0)) + 1
    ends = np.append(changes, taps.n_out)
    index = np.arange(taps.n_out)
    alike = np.minimum(ends[np.searchsorted(changes, index, side="right")] - index, TOGETHER)
    return Tables(*_windows(taps, dtype), alike)


@kept
def _tables_of_turned_rows(taps: Taps, dtype: np.dtype[Any]) -> Tables:
    """Return the tables of the windows along rows that are turned into columns."""
    return Tables(*_windows(taps, dtype))


@kept
def _tables_of_pixels(taps: Taps, inner: int, dtype: np.dtype[Any]) -> Tables:
    """Return the tables of the windows along a row of pixels of so many scalars."""
    start, *others = _windows(taps, dtype)
    return Tables(start * inner, _NONE, _NONE, *others)


def _tables_of_vectors(taps: Taps, blocks: Blocks, dtype: np.dtype[Any]) -> Tables:
    """Return the tables of the vectors of a row: the place and the form of each, and what the forms are."""
    count = taps.count[blocks.column]
    count = np.where((count == taps.width).all(axis=1, keepdims=True), -1, count).astype(f"i{dtype.itemsize}")
    weight = taps.weight.astype(dtype)[blocks.column].transpose(0, 2, 1)
    outside = _outside(taps, dtype)[blocks.column]
    form, tables = distinct(blocks.index, count, weight, outside)
    return Tables(blocks.base.ravel(), form, *map(aligned_copy, tables))


class _ColumnSums(NamedTuple):
    """How the sums along a row are formed.

    Attributes
    ----------
    tables : Tables
        The tables of the columns, or of the vectors of a row.
    pixels : int
        How many vectors of a pixel are summed side by side; 0 if a vector holds neighbouring columns, or if columns
        stay as they are.
    registers : int
        In how many registers the samples of each part of a vector of columns lie, or 0 for anywhere.
    joint : int
        The length of a window if these registers hold all of its samples, or else 0.
    stride : int
        Scalars from one vector of columns, or one pixel, to the next.
    """

    tables: Tables
    pixels: int
    registers: int
    joint: int
    stride: int


def _column_sums(step: FilterStep) -> _ColumnSums:
    inner, accumulator = step.shape[3], np.dtype(step.result.accumulator)
    lanes, itemsize = lanes_of(kind_of(step.result.name)), np.dtype(step.source.carrier).itemsize
    if step.columns is not None and inner < lanes:
        return _sums_of_vectors(step.columns, inner, lanes, itemsize, accumulator)
    pixels = 0 if step.columns is None else 4 if inner >= 4 * lanes else 1
    return _ColumnSums(_tables_of_pixels(step.columns or _ITSELF, inner, accumulator), pixels, 0, 0, inner)


@kept
def _sums_of_vectors(taps: Taps, inner: int, lanes: int, itemsize: int, accumulator: np.dtype[Any]) -> _ColumnSums:
    """Return how sums along a row are formed in vectors of neighbouring columns."""
    lengths = (taps.width, 1) if taps.width in _UNROLLED else (1,)
    blocks = blocks_of(taps.start, inner, lanes, itemsize, taps.weight, lengths)
    joint = blocks.length if blocks.length > 1 else 0
    return _ColumnSums(_tables_of_vectors(taps, blocks, accumulator), 0, blocks.registers, joint, blocks.stride)


def _whole_vectors(number: int, lanes: int) -> int:
    """Return the elements of the whole vectors that hold a number of them."""
    return -(-number // lanes) * lanes


# ---- sums of 16 bits ----------------------------------------------------------------------------------------
def _in_short_integers(step: FilterStep) -> FilterStep:
    """Return a step on bytes with sums of 16 bits, twice as many in a vector, if these are exact."""
    if (step.source.name, step.result.name) == ("int16 sixteenth", "uint8 truncated"):
        return _with_short_products(step)
    if step.source.name == step.result.name == "uint8":
        return _with_short_means(step)
    return step


def _with_short_products(step: FilterStep) -> FilterStep:
    """Return a step on truncated products with sums of 16 bits, if no sum is too large."""
    maps = [taps for taps in (step.rows, step.columns) if taps is not None]
    fits = all(_largest_sum(taps) < 1 << 15 for taps in maps)
    return replace(step, source=FOREIGN["int16 short"], result=FOREIGN["uint8 short"]) if fits else step


@kept
def _largest_sum(taps: Taps) -> float:
    """Return the largest sum of the magnitudes of a window's weights."""
    return float(np.abs(taps.weight).sum(axis=1).max(initial=0))


def _with_short_means(step: FilterStep) -> FilterStep:
    """Return a step with sums of 16 bits if its weights are few bits, as quarters are, at twice or half the size."""
    maps = [taps for taps in (step.rows, step.columns) if taps is not None]
    bits = 1 << SHORT.fraction // max(1, len(maps))  # the product of all factors has the fraction of the sum
    if not maps or not all(_is_mean(taps, bits) for taps in maps):
        return step
    lanes, inner = lanes_of(kind_of(SHORT.name)), step.shape[3]
    if step.columns is not None and inner < lanes and not _lies_near(step.columns, inner, lanes):
        return step
    rows, columns = (taps and _multiplied(taps, bits) for taps in (step.rows, step.columns))
    return replace(step, rows=rows, columns=columns, source=SHORT, result=SHORT)


@kept
def _is_mean(taps: Taps, parts: int) -> bool:
    """Return whether all weights are so many parts of one, none is negative, and none sum up to more than one."""
    scaled = taps.weight * parts
    whole = np.array_equal(scaled, np.floor(scaled)) and bool((scaled >= 0).all())
    return whole and taps.outside is None and bool((scaled.sum(axis=1) <= parts).all())


@kept
def _lies_near(taps: Taps, inner: int, lanes: int) -> bool:
    """Return whether registers hold the samples of twice as many lanes side by side."""
    return blocks_of(taps.start, inner, lanes, 1).registers > 0


@kept
def _multiplied(taps: Taps, factor: int) -> Taps:
    return replace(taps, weight=taps.weight * factor)


# ---- jobs ---------------------------------------------------------------------------------------------------
@kept
def _filter_job(step: FilterStep, read: int | None = None) -> Job:
    """Return the job of one step, which reads so many bytes from memory if not its input."""
    step = _in_short_integers(step)
    columns = _column_sums(step)
    if _is_turned(step, columns):
        return _turned_job(step, read)
    kinds = kind_of(step.source.name), kind_of(step.result.name)
    accumulator, lanes, inner = np.dtype(step.result.accumulator), lanes_of(kinds[1]), step.shape[3]
    planes, x, out = lines_of(step)
    rows_in, rows_out, width_in, width = lengths_of(planes, x, out)
    rows, across = step.rows or _ITSELF, step.columns is not None
    taps = step.columns.width if step.columns else 1
    zero, constant = accumulator.type(step.result.start), accumulator.type(step.fill)
    # Where the rows stay as they are, a row is the sum of itself: nothing is added to -0.0 or to an integer 0.
    row_zero = zero if step.rows is not None or zero == 0 else accumulator.type(0)
    # A power of two, so that the slot of a row is a mask away; one slot where rows are read in place.
    slots = 1 << (rows.width - 1).bit_length() if across else 1
    pitch = _whole_vectors(width + 4 * lanes, lanes) if across else 0
    # Samples are loaded in whole vectors beyond the end of a row.
    held = BYTES // x.dtype.itemsize
    line = width_in + taps * inner + MAX_REGISTERS * held if across else 1
    arguments = (
        rows_in, rows_out, width_in, width, _tables_of_rows(rows, accumulator), columns.tables, columns.stride,
        taps, inner, zero, row_zero, constant, slots, pitch,
        Room(accumulator, (slots * pitch + lanes,)), Room(x.dtype, (line + held,)),
    )  # fmt: skip
    fill = rows.outside is not None or (step.columns is not None and step.columns.outside is not None)
    kernel = filter_kernel(*kinds, int(across), columns.pixels, columns.registers, columns.joint, int(fill))
    formed = min(rows_in, rows_out * rows.width) if across else 0
    least = 4 * (rows.width - 1) if across else 0  # every part forms the rows of its first window anew
    product_bytes = planes * width * (formed * taps + rows_out * rows.width) * accumulator.itemsize
    return prepared(
        kernel, arguments, x, out, least=max(1, least), product_bytes=product_bytes, formed=planes * formed, read=read
    )


def _is_turned(step: FilterStep, columns: _ColumnSums) -> bool:
    """Return whether rows are turned into columns, since the samples of a vector of columns lie too far apart."""
    near = max(2, registers_at_once(np.dtype(step.source.carrier).itemsize))
    if step.rows is not None or step.columns is None or columns.pixels or 0 < columns.registers <= near:
        return False
    planes, x, _ = lines_of(step)
    return planes >= lanes_of(kind_of(step.result.name)) and x.width * BYTES <= _TURNED_BYTES


def _turned_job(step: FilterStep, read: int | None) -> Job:
    """Return the job for sums along columns whose samples lie far apart: on rows that are turned into columns."""
    kinds = kind_of(step.source.name), kind_of(step.result.name)
    accumulator, lanes, inner = np.dtype(step.result.accumulator), lanes_of(kinds[1]), step.shape[3]
    _, x, out = lines_of(step)
    zero, constant = accumulator.type(step.result.start), accumulator.type(step.fill)
    columns = step.columns or _ITSELF
    tables = _tables_of_turned_rows(columns, accumulator)
    squares = lanes, _whole_vectors(x.width, lanes), _whole_vectors(out.width, lanes)
    rooms = (Room(accumulator, (lanes * side + lanes,)) for side in squares)
    arguments = (x.width, out.width, tables, columns.width, inner, zero, constant, *rooms)
    kernel = turned_kernel(*kinds, int(columns.outside is not None))
    product_bytes = out.size * columns.width * accumulator.itemsize
    return prepared(kernel, arguments, x, out, unit=lanes, product_bytes=product_bytes, read=read)


# ---- steps --------------------------------------------------------------------------------------------------
def run_filter(step: FilterStep, x: Any, out: Any) -> None:
    """Form the weighted sums of one step; both arrays are flat and of the step's carriers."""
    _filter_job(step).run(x, out)


@kept
def _band_job(step: Bands) -> Job:
    _, x, _ = lines_of(step.first)
    jobs = first, second = _filter_job(step.first), _filter_job(step.second, x.nbytes)
    words = [job.record[ARGUMENTS:].copy() for job in jobs]
    words[0][COLLECTED] = 1  # what lies between is written as it comes
    sizes = [job.out.dtype.itemsize for job in jobs]
    same = (
        tuple([int(job.record[FUNCTION]) for job in jobs]),
        *words,
        *(Room(np.int64, each.shape) for each in words),
        *(Room(np.uint8, (int(job.record[ROOM]),)) for job in jobs),
        tuple([job.out.rows for job in jobs]),
        step.rows,
        tuple([job.out.width for job in jobs]),
        tuple(sizes),
        second.unit,  # that of the first step is a row: it is not run on rows turned into columns
        BYTES // sizes[1],
        Room(np.uint8, (step.rows[0] * first.out.width * sizes[0],)),
    )
    product_bytes, formed = first.product_bytes + second.product_bytes, first.formed + second.formed
    return prepared(
        band_kernel, same, x, second.out, unit=step.rows[1], product_bytes=product_bytes, formed=formed, as_bytes=True,
        parts=jobs,
    )  # fmt: skip


def run_bands(step: Bands, x: Any, out: Any) -> None:
    """Form the weighted sums of two steps, band by band; both arrays are flat and of the steps' carriers."""
    _band_job(step).run(x, out)
