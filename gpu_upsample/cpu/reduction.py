"""Long sums on the CPU: how samples are laid out for them, and who forms which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Given, Room, record_of_fields
from gpu_upsample.cpu.doubtful import run_exactly
from gpu_upsample.cpu.features import VECTOR_BYTES
from gpu_upsample.cpu.permute import register_size
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.reduction_kernels import (
    CHUNK,
    DEPTH,
    LAYOUT,
    PIECE,
    neighbours_kernel,
    reduction_kernel,
    total_kernel,
)
from gpu_upsample.cpu.tiles import VECTORS, register_lanes, rows_for
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose_backward import ReductionStep
from gpu_upsample.plan.windows import Ints

# Registers that the samples of a vector are picked from at most; else they are collected one by one.
_MOST_NEAR = 4
_FAR = 1 << 62
# What is laid out for a job, with its sums, takes at most so many bytes, or twice as many as the least.
_MOST_BYTES = 6 << 20
# Cycles on an EPYC: to pick or to collect the samples of a vector, or one of a square of neighbouring channels; and to
# fetch and put back a block of sums.
_PICK, _COLLECT, _SQUARE, _BLOCK = 12, 25, 10, 60


# ---- rows ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Turns:
    """How the lanes of a turn lie in vectors.

    Attributes
    ----------
    lanes : int
        Numbers of a vector.
    pitch : int
        Lanes of a turn, rounded up to a power of two.
    """

    lanes: int
    pitch: int

    @property
    def layers(self) -> int:
        """Vectors of a turn."""
        return max(1, self.pitch // self.lanes)

    @property
    def slots(self) -> int:
        """Turns of a vector: where there is room for several, each is that of another tap."""
        return max(1, self.lanes // self.pitch)


def _turns_of(step: ReductionStep) -> _Turns:
    return _Turns(register_lanes(step.source.accumulator), 1 << (step.lanes - 1).bit_length())


@dataclass(frozen=True, eq=False)
class _Lines:
    """How a row of samples is laid out, as one or more lines of vectors.

    What a tap sees in the windows of a row begins somewhere in a line, and goes on from there. So do, side by side, as
    many taps as a vector has slots: together, a column.

    Attributes
    ----------
    samples : ndarray of int, shape (lines, numbers)
        Which sample of the row each number of a line is, or one outside of the row where there is none.
    line, begin : ndarray of int, shape (columns,)
        In which line a column lies, and where in it.
    tap : ndarray of int, shape (columns * slots,)
        The tap of each slot, -1 where there is none.
    beyond : int
        Vectors of a line beyond those of its turns.
    """

    samples: Ints
    line: Ints
    begin: Ints
    tap: Ints
    beyond: int


def _lines_of_columns(step: ReductionStep, turns: _Turns) -> _Lines:
    """Return a line for each column: a vector with room for several taps."""
    axis, slots = step.axes[2], turns.slots
    kernel = len(axis.shift)
    tap = np.arange(-(-kernel // slots) * slots)
    window = np.arange(turns.pitch)
    samples = window * axis.stride + axis.shift[tap.clip(max=kernel - 1)][:, None]
    samples[tap >= kernel] = -1
    samples[:, window >= step.windows[2]] = -1  # need not be read
    columns = np.arange(len(tap) // slots)
    return _Lines(samples.reshape(len(columns), -1), columns, 0 * columns, np.where(tap < kernel, tap, -1), 0)


def _lines_of_phases(step: ReductionStep, turns: _Turns) -> _Lines:
    """Return a line for each phase of the stride, in which taps lie some numbers apart; or one per tap, if less."""
    axis, width = step.axes[2], step.segments * turns.pitch
    place, phase = np.divmod(axis.shift, axis.stride)
    phases, line = np.unique(phase, return_inverse=True)
    first = np.array([place[line == which].min() for which in range(len(phases))])
    begin, tap = place - first[line], np.arange(len(place))
    beyond = -(-int(begin.max()) // turns.lanes)
    if len(phases) * (width + beyond * turns.lanes) > len(tap) * width:
        phases, first, line, begin, beyond = phase, place, tap, 0 * tap, 0
    number = np.arange(width + beyond * turns.lanes)
    return _Lines((number + first[:, None]) * axis.stride + phases[:, None], line, begin, tap, beyond)


def _windows_of_vectors(step: ReductionStep, turns: _Turns) -> Ints:
    """Return which window of a row each number is: of the first vector of every turn, of the second, and so on."""
    layer, turn = np.arange(turns.layers)[:, None, None], np.arange(step.segments)[:, None]
    lane = layer * turns.lanes + np.arange(turns.lanes) % turns.pitch
    return np.where(lane < step.lanes, turn * step.lanes + lane, -1).reshape(-1, turns.lanes)


def _vectors(chosen: Ints, size: int) -> tuple[Ints, Ints, Ints]:
    """Return for vectors of some elements the first that there is, how far from it each lies, and which there are."""
    there = (chosen >= 0) & (chosen < size)
    first = np.where(there, chosen, _FAR).min(axis=1)
    first[~there.any(axis=1)] = 0
    return first, np.where(there, chosen - first[:, None], 0), (there << np.arange(chosen.shape[1])).sum(axis=1)


# ---- all that is laid out at once ---------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Layout:
    """How samples are laid out for each tap to see vectors of windows.

    Attributes
    ----------
    turns : _Turns
        How the lanes of a turn lie in vectors.
    near : int
        Registers in which all samples of a vector lie, where those of a row are neighbours; or 0.
    sizes : ndarray of LAYOUT, shape (1,)
        What the kernel needs to find its way.
    planes, rows : ndarray of int
        Which planes the taps see, and which rows of each a piece does, counted from those of its first window.
    chunks, pieces : ndarray of CHUNK, ndarray of PIECE
        Which windows are laid out at once.
    tables : tuple of 3 ndarray
        For the vectors of each line, and of the factors of a row, what they consist of.
    column_of, tap_of : ndarray of int
        Where the columns of a channel begin, and which tap each of their slots is, -1 where there is none.
    """

    turns: _Turns
    near: int
    sizes: Any
    planes: Ints
    rows: Ints
    chunks: Any
    pieces: Any
    tables: tuple[Ints, Ints, Ints]
    column_of: Ints
    tap_of: Ints

    @property
    def channel(self) -> int:
        """Numbers that are laid out for a channel at once."""
        return int(self.sizes["to_channel"][0])


@kept
def _layout(step: ReductionStep) -> _Layout:
    turns, kernel, (deep, high, _) = _turns_of(step), step.kernel, step.axes
    lanes = turns.lanes
    lines = (_lines_of_columns if turns.slots > 1 else _lines_of_phases)(step, turns)
    seen = _vectors(lines.samples.reshape(-1, lanes), step.size[2])
    factors = _vectors(_windows_of_vectors(step, turns), step.windows[2])
    first, offsets, bits = map(np.concatenate, zip(seen, factors, strict=True))
    register = register_size(step.source.itemsize) // step.source.itemsize
    near = 1 << (int(offsets.max()) // register).bit_length()
    beside = [between == 1 and step.parts == 1 for between in (step.strides[2], step.factor_strides[2])]
    near = near if near <= _MOST_NEAR and any(beside) else 0
    offsets = offsets.astype(np.uint16 if offsets.max() < 1 << 16 else np.int64)

    most_turns = min(step.segments, DEPTH)
    most_rows = min(max(1, DEPTH // most_turns), step.windows[1])
    most_pieces = min(max(1, DEPTH // (most_turns * most_rows)), step.batch * step.windows[0])
    chunks, pieces = _pieces(step, most_turns, most_rows, most_pieces)
    # Rows of samples: all between those of the first tap and of the last, or each tap's own, if these are fewer.
    shift, between = high.shift - high.shift[0], (most_rows - 1) * high.stride
    if between + shift[-1] < most_rows * len(shift):
        row_of_tap, apart, rows = shift, high.stride, np.arange(between + shift[-1] + 1)
    else:
        row_of_tap, apart = np.arange(len(shift)) * most_rows, 1
        rows = (shift[:, None] + np.arange(most_rows) * high.stride).ravel()

    line_vectors = lines.samples.shape[1] // lanes
    to_line = (most_turns * turns.layers + lines.beyond) * lanes
    row_vectors = len(lines.samples) * step.parts * to_line // lanes
    to_row = (row_vectors | 1) * lanes  # rows that lie a power of two apart would share a set of the cache
    to_plane = len(rows) * to_row
    columns = np.arange(kernel[0])[:, None, None] * to_plane + row_of_tap[:, None] * to_row
    column_of = (columns + lines.line * step.parts * to_line + lines.begin).ravel()
    sizes = record_of_fields(
        LAYOUT,
        groups=step.groups, channels=step.channels, factors=step.factors, taps=prod(kernel), size=step.size,
        windows=step.windows, strides=step.strides, factor_strides=step.factor_strides,
        stride_d=deep.stride, stride_h=high.stride, lanes=step.lanes, pitch=turns.pitch,
        layers=turns.layers, slots=turns.slots, segments=step.segments, lines=len(lines.samples),
        vectors=line_vectors, beyond=lines.beyond, most_rows=most_rows, apart=apart,
        to_line=to_line, to_row=to_row, to_plane=to_plane, to_piece=kernel[0] * to_plane,
        to_channel=most_pieces * kernel[0] * to_plane, columns=len(column_of),
        reach=near * register if near and beside[0] else _FAR,
        factor_reach=near * register if near and beside[1] else _FAR,
    )  # fmt: skip
    tap_of = np.arange(kernel[0] * kernel[1])[:, None] * kernel[2] + lines.tap
    tap_of = np.where(lines.tap < 0, -1, tap_of).ravel()
    return _Layout(
        turns, near, sizes, deep.shift, high.shift[0] + rows, chunks, pieces, (first, offsets, bits), column_of, tap_of
    )


def _pieces(step: ReductionStep, most_turns: int, most_rows: int, most_pieces: int) -> tuple[Any, Any]:
    """Cut the windows into pieces of at most so many turns and rows, and gather these in chunks of a block of sums."""
    pieces: list[tuple[int, ...]] = []
    chunks: list[tuple[Any, ...]] = []
    turn = 0
    while turn < step.all_turns:
        begin, starts = len(pieces), turn % step.turns == 0
        until = min((turn // step.turns + 1) * step.turns, step.all_turns)
        while turn < until and len(pieces) < begin + most_pieces:
            row, first = divmod(turn, step.segments)
            plane, height = divmod(row, step.windows[1])
            left = (until - turn) // step.segments
            whole = first == 0 and left > 0 and most_turns == step.segments
            rows = min(most_rows, step.windows[1] - height, left) if whole else 1
            last = step.segments if whole else min(step.segments, first + most_turns, first + until - turn)
            pieces.append((*divmod(plane, step.windows[0]), height, rows, first, last))
            turn += rows * (last - first)
        chunks.append((begin, len(pieces), starts, turn == until))
    return np.array(chunks, CHUNK), np.array(pieces, PIECE)


# ---- kernels ------------------------------------------------------------------------------------------------
def _bundle(step: ReductionStep, layout: _Layout) -> int:
    """Return how many groups are laid out together: those of few channels, where these are neighbours."""
    if step.parts > 1 or step.strides[1] > 1 or step.factor_strides[1] > 1:
        return 1
    most = min(
        layout.turns.lanes // max(step.channels, step.factors),
        _MOST_BYTES // (step.channels * layout.channel * np.dtype(step.source.accumulator).itemsize),
    )
    return min(step.groups, max(1, most))


def _laying_out(step: ReductionStep, layout: _Layout, channels: Any, factors: Any) -> tuple[tuple[Any, Any], ...]:
    """Return the cycles that a vector of each channel takes, one by one and in squares, for samples and for factors."""
    lanes, bundle = layout.turns.lanes, _bundle(step, layout)

    def cycles(channels: Any, of_group: int, between: int) -> tuple[Any, Any]:
        in_square = _SQUARE if step.parts == 1 and between == 1 and step.groups * of_group >= lanes else np.inf
        channels = bundle * channels
        return channels * (_PICK if layout.near else _COLLECT), -(-channels // lanes) * lanes * in_square

    return (
        cycles(channels, step.channels, step.strides[1]),
        cycles(factors * step.parts, step.factors, step.factor_strides[1]),
    )


def _cuts(step: ReductionStep, layout: _Layout, rows: int, held: float, threads: int) -> tuple[int, int]:
    """Return how many channels of the samples, and of the factors, a job has, by the time that all jobs take.

    Parameters
    ----------
    step, layout
        The sums.
    rows, held : int, float
        Rows of a block of sums, and how many vectors of memory it takes, for its totals and the sums that wait.
    threads : int
        How many threads share the jobs.
    """

    def sizes(channels: int, multiple: int) -> Ints:
        units = -(-channels // multiple)
        return np.unique(-(-units // np.arange(1, units + 1)) * multiple).clip(max=channels)

    if _bundle(step, layout) > 1:
        return step.channels, step.factors
    channels, factors = np.meshgrid(sizes(step.channels, 1), sizes(step.factors, rows // step.parts))
    jobs = -(-step.channels // channels) * -(-step.factors // factors) * step.groups
    blocks = -(-channels * len(layout.column_of) // VECTORS) * -(-factors * step.parts // rows)
    of_channel = layout.channel // layout.turns.lanes
    vectors = channels * of_channel + factors * step.parts * DEPTH
    of_samples, of_factors = (np.minimum(*cycles) for cycles in _laying_out(step, layout, channels, factors))
    time = of_channel * of_samples + DEPTH * of_factors + blocks * (DEPTH * rows * VECTORS / 2 + _BLOCK)
    size = (vectors + blocks * held) * VECTOR_BYTES
    too_large = size > max(_MOST_BYTES, 2 * size.min())
    best = np.lexsort(((-(-jobs // threads) * time).ravel(), too_large.ravel()))[0]
    return int(channels.flat[best]), int(factors.flat[best])


@kept
def _reduction_work(step: ReductionStep, threads: int, exact: int) -> tuple[Work, int]:
    """Return what forms the sums, and how many jobs that are for so many threads."""
    layout, rows = _layout(step), rows_for(step.factors * step.parts)
    turns, real, carrier = layout.turns, np.dtype(step.source.accumulator).type, step.source.carrier
    lanes, columns = turns.lanes, len(layout.column_of)
    keeps = not (layout.chunks["starts"] & layout.chunks["ends"]).all()  # sums from one chunk to the next
    block = rows * VECTORS * lanes
    held = VECTORS * rows * (keeps * turns.layers + turns.slots / lanes)
    channels, factors = _cuts(step, layout, rows, held, threads)
    cuts = -(-step.channels // channels), -(-step.factors // factors)
    across, down = -(-channels * columns // VECTORS), -(-factors * step.parts // rows)
    bundle = _bundle(step, layout)
    jobs, below = -(-step.groups // bundle) * prod(cuts), (bundle - 1) * factors * step.parts + down * rows
    per_channel = step.batch * step.groups * step.parts
    sizes = step.channels * prod(step.size), step.factors * prod(step.windows)
    x, multipliers = (Given(carrier, (per_channel * size,)) for size in sizes)
    out = Given(step.result.carrier, (step.elements * step.parts,))
    together = tuple(in_squares < singly for singly, in_squares in _laying_out(step, layout, channels, factors))
    forming = work(
        reduction_kernel(kind_of(step.source.name), step.parts, lanes, layout.near, int(any(together)), rows, exact),
        x, multipliers, out, Given(np.bool_, (jobs,)), cuts, (channels, factors), bundle, together, layout.sizes,
        layout.planes, layout.rows, layout.chunks, layout.pieces, layout.tables, layout.column_of, layout.tap_of,
        block if keeps else 0, real(0.0),
        Room(real, (bundle * channels * layout.channel,)), Room(real, (exact * bundle * channels * layout.channel,)),
        Room(real, ((below + exact) * (DEPTH * step.parts + 1) * lanes,)),
        Room(real, ((turns.layers * bundle * down * across if keeps else 1) * block,)),
        Room(real, (bundle * down * across * VECTORS * turns.slots * rows,)), Room(real, (lanes * rows,)),
        Room(carrier, (lanes * lanes,)),
        Room(np.int64, (DEPTH * step.parts,)), Room(np.int64, (across * VECTORS,)), Room(real, (rows,)),
        rows=jobs, cost=step.elements * prod(step.windows) * step.batch * step.source.itemsize,
    )  # fmt: skip
    return forming, jobs


@kept
def _total_work(step: ReductionStep) -> Work:
    """Return what forms the sums of all samples of each channel."""
    real, kind, turns = np.dtype(step.source.accumulator).type, kind_of(step.source.name), _turns_of(step)
    x = Given(step.source.carrier, (step.batch * step.groups * step.channels * prod(step.size) * step.parts,))
    out = Given(step.result.carrier, (step.elements * step.parts,))
    geometry = step.batch, prod(step.size[:2]), step.size[2], step.strides, step.lanes, step.turns
    beside = step.parts == 1
    if beside and step.strides[1] == 1 and step.elements >= turns.lanes:
        room = Room(real, ((step.lanes + 1) * turns.lanes,))
        rows = -(-step.elements // turns.lanes)
        return work(neighbours_kernel(kind, turns.lanes), x, out, *geometry, real(0.0), room, rows=rows)
    return work(
        total_kernel(kind, step.parts, turns.pitch), x, out, *geometry, beside and step.strides[2] == 1, real(0.0),
        Room(real, (step.parts * turns.pitch,)), Room(real, (step.parts,)), rows=step.elements,
    )  # fmt: skip


def run_reduction(step: ReductionStep, x: Any, factors: Any, out: Any) -> None:
    """Form long sums; all arrays are flat, and `factors` is empty where there are none."""
    if not step.batch or not step.elements:
        out.fill(0)
    elif not step.factors:
        _total_work(step).run(x, out)
    else:
        run_exactly(partial(_reduction_work, step, num_threads()), x, factors, out)
