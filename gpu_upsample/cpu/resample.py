"""Runs the steps of a resampling plan on the CPU."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arithmetic import lanes_of
from gpu_upsample.cpu.bands import Bands
from gpu_upsample.cpu.resample_kernels import STRIP_LINES, TOGETHER, filter_kernel, select_kernel, turned_kernel
from gpu_upsample.cpu.tables import MOST, Blocks, blocks_of, distinct
from gpu_upsample.cpu.threads import run_in_parts
from gpu_upsample.cpu.vectors import BYTES, aligned_copy
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.dtypes import FOREIGN
from gpu_upsample.plan.steps import FilterStep, SelectStep
from gpu_upsample.plan.taps import Taps, selected_taps


def _last_cache() -> int:
    """Return the bytes of the last cache, or a guess where the system does not tell."""
    told = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
    try:
        return int(told.read_text(encoding="ascii").strip().removesuffix("K")) << 10
    except (OSError, ValueError):
        return 1 << 24


_LAST_CACHE = min(_last_cache(), 1 << 26)
# From this many bytes of input and result on, the result goes past the caches, which would not hold both. A virtual
# machine is told of more than its share of them.
_STREAMED_BYTES = min(_LAST_CACHE // 2, 1 << 24)
# Shorter rows only if they are whole cache lines: a line of which a part is streamed costs more than it saves.
_LONG_ROW = 1 << 12
# Rows are turned into columns in a buffer of at most this many bytes, which the second cache shares with its tables.
_TURNED_BYTES = 1 << 21

SHORT = FOREIGN["uint8 sixteenth"]
"""The storage of bytes whose sums fit into 16 bits."""

# Windows along a row of so many samples, as linear, cubic and lanczos ones have, have kernels of their own.
_UNROLLED = (2, 4, 6, 8)

_NONE = np.zeros(1, np.int64)
# Windows of one sample that is its own sum.
_ALONE = selected_taps(np.zeros(1, np.int64), 1)


@dataclass(frozen=True, eq=False)
class _Job:
    """A kernel and all that it takes beside the arrays: made once per step.

    Attributes
    ----------
    kernel : callable
        Does the units from one up to another.
    arguments : tuple
        Sizes and tables.
    scratch : tuple of (int, dtype)
        The uninitialised arrays that every thread needs for itself.
    rows : int
        How many rows the result has.
    unit : int
        How many of them the kernel does at once.
    least : int
        How many units a thread should do at a time.
    width : int
        Scalars of a row of the result.
    products : int
        How many products are formed in all. If none are, because the kernel only copies, a result that fits into the
        last cache stays there, if the input is small.
    """

    kernel: Any
    arguments: tuple[Any, ...]
    scratch: tuple[tuple[int, Any], ...]
    rows: int
    unit: int
    least: int
    width: int
    products: int

    def room(self, dtype: Any, collected: int = 1) -> list[Any]:
        """Return the scratch arrays of a thread, and one for what is collected."""
        return [*[np.empty(size, kind) for size, kind in self.scratch], np.empty(collected, dtype)]

    def form(
        self,
        x: Any,
        out: Any,
        origin: int,
        units: tuple[int, int],
        room: list[Any],
        lead: int = 0,
        streams: bool = False,
    ) -> None:
        """Do the units from one up to another, of flat arrays; `out` begins with row `origin`."""
        self.kernel(x, out, origin, *units, lead, streams, *self.arguments, *room)

    def way(self, part: Any, size_in: int, size_out: int) -> tuple[int, bool, int]:
        """Return how a part of a result is written, if the input and the whole result have these bytes.

        The elements between the start of a cache line and the part; whether its rows are streamed past the caches; and
        how many elements are collected before they are streamed, or 1.
        """
        left = _LAST_CACHE if not self.products and size_in < _STREAMED_BYTES else 0
        if size_in + size_out < _STREAMED_BYTES or size_out <= left:
            return 0, False, 1
        astray, row, line = part.ctypes.data % BYTES, self.width * part.itemsize, BYTES // part.itemsize
        lead, rest = divmod(astray, part.itemsize)
        if rest:
            return 0, False, 1
        if row >= _LONG_ROW or astray == row % BYTES == 0:
            return lead, True, 1
        return lead, False, STRIP_LINES * line + TOGETHER * (self.width + 4 * line) + line

    def run(self, x: Any, out: Any) -> None:
        """Do all of flat arrays."""
        lead, streams, collected = self.way(out, x.nbytes, out.nbytes)

        def work(first: int, last: int) -> None:
            self.form(x, out, 0, (first, last), self.room(out.dtype, collected), lead, streams)

        run_in_parts(work, _units(self.rows, self.unit), _cost(self.products, x, out), self.least)


def _cost(products: int, x: Any, out: Any) -> int:
    """Return what some work costs, in bytes that are moved in the same time, within the caches."""
    return max(2 * products, min(x.nbytes, BYTES * out.size) + out.nbytes)  # a sample is read with its cache line


def _units(rows: int, unit: int) -> int:
    return -(-rows // unit)


def _sizes(step: FilterStep | SelectStep) -> tuple[int, int, int, int, int]:
    """Return the number of planes, the rows of a plane before and after, and their widths in scalars.

    Where the rows stay as they are, a plane has one.
    """
    planes, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    if step.rows is None:
        planes, rows_in, rows_out = planes * rows_in, 1, 1
    return planes, rows_in, rows_out, columns_in * inner, columns_out * inner


# ---- weighted sums ------------------------------------------------------------------------------------------
def _outside(taps: Taps, dtype: np.dtype[Any]) -> Any:
    return np.zeros(taps.n_out, dtype) if taps.outside is None else taps.outside.astype(dtype)


def _windows(taps: Taps, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return the tables of the windows themselves, as copies: to Numba a read-only array is of another type."""
    start, count = np.array(taps.start), np.array(taps.count)
    return start, count, taps.weight.astype(dtype, order="C").ravel(), _outside(taps, dtype)


def _alike(taps: Taps) -> Any:
    """Return for each window how many there are from it on that begin and end where it does, up to TOGETHER."""
    changes = np.flatnonzero((np.diff(taps.start) != 0) | (np.diff(taps.count) != 0)) + 1
    ends = np.append(changes, taps.n_out)
    index = np.arange(taps.n_out)
    return np.minimum(ends[np.searchsorted(changes, index, side="right")] - index, TOGETHER)


def _forms(taps: Taps, blocks: Blocks, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return the tables of the vectors of a row: the place and the form of each, and what the forms are."""
    count = taps.count[blocks.column]
    count = np.where((count == taps.width).all(axis=1, keepdims=True), -1, count).astype(f"i{dtype.itemsize}")
    weight = taps.weight.astype(dtype)[blocks.column].transpose(0, 2, 1)
    outside = _outside(taps, dtype)[blocks.column]
    form, tables = distinct(blocks.index, count, weight, outside)
    return blocks.base, form, *map(aligned_copy, tables)


def _in_short_integers(step: FilterStep) -> FilterStep:
    """Return a step on bytes with sums of 16 bits, twice as many in a vector, if these are exact.

    They are at twice or half the size, for example, where weights are quarters, and where products are truncated.
    """
    maps = [taps for taps in (step.rows, step.columns) if taps is not None]
    if (step.source.name, step.result.name) == ("int16 sixteenth", "uint8 truncated"):
        fits = all(np.abs(taps.weight).sum(axis=1).max(initial=0) < 1 << 15 for taps in maps)
        return replace(step, source=FOREIGN["int16 short"], result=FOREIGN["uint8 short"]) if fits else step
    if not (step.source.name == step.result.name == "uint8" and maps):
        return step
    bits = 1 << SHORT.fraction // len(maps)  # the product of all factors has the fraction of the sum
    if not all(_is_mean(taps, bits) for taps in maps):
        return step
    lanes, inner = lanes_of(kind_of(SHORT.name)), step.shape[3]
    if step.columns is not None and inner < lanes and blocks_of(step.columns.start, inner, lanes, BYTES).spread == 0:
        return step  # twice as many samples side by side lie too far apart
    rows, columns = (taps and replace(taps, weight=taps.weight * bits) for taps in (step.rows, step.columns))
    return replace(step, rows=rows, columns=columns, source=SHORT, result=SHORT)


def _picked(step: FilterStep, columns: Taps, lanes: int) -> tuple[Blocks, int]:
    """Return the vectors of a row, and how many samples of a window are picked from registers that are loaded once.

    These are all, or else 1.
    """
    held = BYTES // np.dtype(step.source.carrier).itemsize
    for length in (columns.width, 1) if columns.width in _UNROLLED else (1,):
        blocks = blocks_of(columns.start, step.shape[3], lanes, held, columns.weight, length)
        if blocks.spread:
            break
    return blocks, length


def _is_mean(taps: Taps, parts: int) -> bool:
    """Return whether all weights are so many parts of one, none is negative, and none sum up to more than one."""
    scaled = taps.weight * parts
    whole = np.array_equal(scaled, np.floor(scaled)) and bool((scaled >= 0).all())
    return whole and taps.outside is None and bool((scaled.sum(axis=1) <= parts).all())


@kept
def _filter_job(step: FilterStep) -> _Job:
    step = _in_short_integers(step)
    kinds = kind_of(step.source.name), kind_of(step.result.name)
    accumulator, lanes, inner = np.dtype(step.result.accumulator), lanes_of(kinds[1]), step.shape[3]
    planes, rows_in, rows_out, width_in, width = _sizes(step)
    rows, columns = step.rows or _ALONE, step.columns or _ALONE
    across = step.columns is not None
    nested, spread, joint, stride, carrier = 0, 0, 1, lanes, np.dtype(step.source.carrier)
    if across and inner < lanes:
        blocks, joint = _picked(step, columns, lanes)
        spread, stride, tables = blocks.spread, blocks.stride, _forms(columns, blocks, accumulator)
        far = spread == 0 or spread > 2
        if far and step.rows is None and lanes <= planes and width_in * BYTES <= _TURNED_BYTES:
            return _turned_job(step, columns)
    else:
        start, *others = _windows(columns, accumulator)
        tables = (start * inner, _NONE, _NONE, *others)
        nested, stride = (4 if inner >= 4 * lanes else 1) if across else 0, inner

    zero, constant = accumulator.type(step.result.start), accumulator.type(step.fill)
    # Where the rows stay as they are, a row is the sum of itself: nothing is added to -0.0 or to an integer 0.
    row_zero = zero if step.rows is not None or zero == 0 else accumulator.type(0)
    # A power of two, so that the slot of a row is a mask away; one slot where rows are read in place.
    slots = 1 << (rows.width - 1).bit_length() if across else 1
    pitch = _rounded(width + 4 * lanes, lanes) if across else 0
    arguments = (
        rows_in, rows_out, width_in, width, *_windows(rows, accumulator), _alike(rows),
        *tables, stride, columns.width, inner, zero, row_zero, constant, slots, pitch,
    )  # fmt: skip
    # Samples are loaded in whole vectors beyond the end of a row, and a scratch array begins at a cache line.
    line = width_in + columns.width * inner + MOST * BYTES // carrier.itemsize if across else 1
    scratch = ((slots * pitch + lanes, accumulator), (line + BYTES // carrier.itemsize, carrier))
    fill = rows.outside is not None or columns.outside is not None
    kernel = filter_kernel(*kinds, int(across), nested, spread, joint, int(fill))
    least = 4 * slots  # every part filters the rows of its first window anew
    formed = min(rows_in, rows_out * rows.width) * columns.width if across else 0
    products = planes * width * (formed + rows_out * rows.width)
    return _Job(kernel, arguments, scratch, planes * rows_out, 1, least, width, products)


def _turned_job(step: FilterStep, columns: Taps) -> _Job:
    """Return the job for sums along columns whose samples lie far apart: on rows that are turned into columns."""
    kinds = kind_of(step.source.name), kind_of(step.result.name)
    accumulator, lanes, inner = np.dtype(step.result.accumulator), lanes_of(kinds[1]), step.shape[3]
    rows, _, _, width_in, width = _sizes(step)
    zero, constant = accumulator.type(step.result.start), accumulator.type(step.fill)
    tables = _windows(columns, accumulator)
    arguments = (width_in, width, *tables, columns.width, inner, zero, constant)
    squares = lanes, _rounded(width_in, lanes), _rounded(width, lanes)
    scratch = tuple((lanes * side + lanes, accumulator) for side in squares)
    kernel = turned_kernel(*kinds, int(columns.outside is not None))
    return _Job(kernel, arguments, scratch, rows, lanes, 1, width, rows * width * columns.width)


def _rounded(number: int, lanes: int) -> int:
    """Return the elements of the whole vectors that hold a number of them."""
    return -(-number // lanes) * lanes


def run_filter(step: FilterStep, x: Any, out: Any) -> None:
    """Form the weighted sums of one step; both arrays are flat and of the step's carriers."""
    _filter_job(step).run(x, out)


# ---- one step after the other, band by band -----------------------------------------------------------------
def run_bands(step: Bands, x: Any, out: Any) -> None:
    """Form the weighted sums of two steps; both arrays are flat and of the steps' carriers."""
    first, second = _filter_job(step.first), _filter_job(step.second)
    height_first, height_second = step.rows

    def work(begin: int, end: int) -> None:
        held = np.empty(height_first * first.width, step.first.result.carrier)
        above, below = first.room(held.dtype), {}
        for band in range(begin, end):
            low, high = height_first * band, min(height_first * (band + 1), first.rows)
            between = held[: (high - low) * first.width]
            first.form(x, between, low, (low, high), above)
            low, high = height_second * band, min(height_second * (band + 1), second.rows)
            part = out[low * second.width : high * second.width]
            lead, streams, collected = second.way(part, x.nbytes, out.nbytes)
            if collected not in below:
                below[collected] = second.room(out.dtype, collected)
            units = 0, _units(high - low, second.unit)
            second.form(between, part, 0, units, below[collected], lead, streams)

    cost = _cost(first.products + second.products, x, out)
    run_in_parts(work, _units(first.rows, height_first), cost, least=1)


# ---- selection ----------------------------------------------------------------------------------------------
@kept
def _select_job(step: SelectStep) -> _Job:
    word, inner = np.dtype(f"u{step.source.itemsize}"), step.shape[3]
    lanes = BYTES // word.itemsize
    planes, rows_in, rows_out, width_in, width = _sizes(step)
    across = step.columns is not None
    nested, spread, stride = across and inner >= lanes, 0, lanes
    rows = _NONE if step.rows is None else np.array(step.rows)
    columns = _NONE if step.columns is None else step.columns
    tables: tuple[Any, ...] = (columns * inner, _NONE, np.zeros(1, word), np.zeros(1, word))
    if across and not nested:
        # A lane without a sample is put where the last one with a sample is.
        last = np.maximum.accumulate(np.where(columns < 0, 0, np.arange(len(columns))))
        blocks = blocks_of(np.maximum(columns[last], 0), inner, lanes, lanes)
        spread, stride = blocks.spread, blocks.stride
        form, parts = distinct(blocks.index, (columns >= 0)[blocks.column].astype(word))
        tables = (blocks.base, form, *parts)
    kernel = select_kernel(word.itemsize, int(across), int(nested), spread, int(step.has_fill))
    fill = word.type(step.source.bits(step.fill))
    arguments = (rows_in, rows_out, width_in, width, rows, *tables, stride, inner, fill)
    scratch = ((width_in + (MOST + 2) * lanes, word), (width + 3 * lanes, word))
    return _Job(kernel, arguments, scratch, planes * rows_out, 1, 8, width, products=0)


def run_select(step: SelectStep, x: Any, out: Any) -> None:
    """Copy the selected samples of one step; both arrays are flat and of the step's carriers."""
    bits = f"u{step.source.itemsize}"
    _select_job(step).run(x.view(bits), out.view(bits))
