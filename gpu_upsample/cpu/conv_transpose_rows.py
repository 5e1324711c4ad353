"""Transposed convolution on the CPU row by row: how rows of samples are laid out, and which of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Given, Room, record_of_fields
from gpu_upsample.cpu.conv_transpose_arrays import arrays_of, conjugates
from gpu_upsample.cpu.conv_transpose_row_kernels import CHUNK, LINE, PHASE, SIZES, row_kernel
from gpu_upsample.cpu.doubtful import run_exactly
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.tiles import VECTORS, register_lanes, rows_for
from gpu_upsample.cpu.vectors import BYTES
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.windows import Ints, Pairs

# Up to so many lines are laid out together, and outputs of so many phases are written in order, in vectors.
_MOST_TOGETHER = 8
# Vectors of a block of sums that has the rows of one channel.
_ALONE = 4
# What is laid out at once takes at most so many bytes, but for parts of rows of few vectors.
_MOST_BYTES, _FEW_VECTORS = 1 << 18, 16
# Fewer rows of outputs are not parted for the sake of another thread.
_FEW_ROWS = 8
# Each part of the work lays out the factors of its groups: if these are more than so many, a thread takes two parts.
_MANY_FACTORS = 1 << 12
# Cycles on an EPYC.
_PICK, _COLLECT = 14, 25  # to lay out a vector, together with others or by itself
_TERM, _ROW = 2.8, 0.44  # to add a term to a block, and a vector of each of its rows
_BLOCK = 47  # to begin with a block
_FACTOR = 2.4  # to lay out a factor
_WRITE = 0.64  # to write an output


# ---- rows ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Row:
    """How a row of samples is laid out, and what the outputs of a row are summed over.

    With a stride of 2, a kernel of 3 and padding of 1, output 2j is ``x[j] * w[1]``, and output 2j + 1 is
    ``x[j + 1] * w[0] + x[j] * w[2]``: two phases, over one line that holds x, and zeros behind it. The terms are tap 1
    of phase 0, which begins with the number of the output, and taps 0 and 2 of phase 1, of which the first begins one
    number ahead. In the adjoint, window j sees samples 2j - 1, 2j and 2j + 1: one phase, over a line of every second
    sample, and one of those between.

    Attributes
    ----------
    lines : ndarray of LINE
        Samples that lie `step` apart, with zeros at both ends: what a term is in neighbouring outputs lies side by
        side in one of them.
    phases : ndarray of PHASE
        Outputs that lie side by side there, and their terms.
    phase, line, ahead, tap : ndarray of int
        For each term its phase, its line, how far ahead of the number of the first output it begins, and its tap.
    step : int
        How far samples of a line lie apart.
    """

    lines: Any
    phases: Any
    phase: Ints
    line: Ints
    ahead: Ints
    tap: Ints
    step: int

    def beyond(self, lanes: int) -> int:
        """Return the vectors of a line beyond those of its outputs."""
        return -(-int(self.ahead.max(initial=0)) // lanes)


@kept
def _row(step: ConvTransposeStep) -> _Row:
    axis = step.axes[2]
    tap = np.arange(axis.kernel)
    place, rest = np.divmod(tap * axis.dilation - axis.padding, axis.stride)
    if step.adjoint:  # window j sees sample (j + place) * stride + rest
        between, samples, count = axis.stride, axis.n_out, np.array([axis.n_windows])
        phase, line, shift = np.zeros_like(tap), rest, place
    else:  # output j * stride + rest sees window j - place
        between, samples, first = 1, axis.n_windows, np.arange(min(axis.stride, axis.n_out))
        count = -(-(axis.n_out - first) // axis.stride)
        phase, line, shift = rest, np.zeros_like(tap), -place
    seen = (phase < len(count)) & (shift < -(-(samples - line) // between))  # what no output sees needs no room
    seen &= shift + count[phase.clip(max=len(count) - 1)] > 0
    order = np.flatnonzero(seen)[np.argsort(phase[seen], kind="stable")]
    phase, line, shift = phase[order], line[order], shift[order]
    nearest = int(shift.min(initial=0))
    held, line = np.unique(line, return_inverse=True) if between > _MOST_TOGETHER else (np.arange(between), line)
    lines, phases = np.zeros(len(held), LINE), np.zeros(len(count), PHASE)
    lines["first"] = nearest * between + held
    lines["low"], lines["high"] = -nearest, -(-(samples - held) // between) - nearest
    phases["begin"], phases["end"] = (np.searchsorted(phase, np.arange(len(count)), side) for side in ("left", "right"))
    phases["count"] = count
    return _Row(lines, phases, phase, line, shift - nearest, tap[order], between)


# ---- what is laid out at once -------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Chunks:
    """Which rows of samples are laid out at once, for which outputs.

    Attributes
    ----------
    chunks : ndarray of CHUNK
        The chunks of an array.
    rows : ndarray of int
        The rows that they lay out.
    slots, slot_step : ndarray of int, int
        For each row of outputs, which of its chunk's rows the first is that it reads, and how many further the next is.
    most_rows, vectors : int
        Rows that a chunk lays out at most, and vectors of outputs of each phase.
    """

    chunks: Any
    rows: Ints
    slots: Ints
    slot_step: int
    most_rows: int
    vectors: int


def _ends(pairs: Pairs, height: int) -> tuple[Ints, Ints]:
    """Return the first row of samples that each `height` rows of outputs read, and the last; or 0 and -1 for none."""
    starts, end = np.arange(0, len(pairs.count), height), pairs.place + (pairs.count - 1) * pairs.place_step
    low = np.minimum.reduceat(np.where(pairs.count > 0, np.minimum(pairs.place, end), 1 << 62), starts)
    high = np.maximum.reduceat(np.where(pairs.count > 0, np.maximum(pairs.place, end), -1), starts)
    return np.where(high < 0, 0, low), high


def _rows(pairs: Pairs, height: int) -> tuple[list[Ints], Ints, int]:
    """Return which rows of samples are laid out for each `height` rows of outputs, and where each finds its own there.

    All rows from the first to the last, or those of each row of outputs by themselves, if these are fewer.
    """
    (first, last), most, number = _ends(pairs, height), int(pairs.count.max()), np.arange(len(pairs.count))
    if (last - first).max() < most * height:
        rows = [np.arange(*ends) for ends in zip(first, last + 1, strict=True)]
        return rows, np.where(pairs.count > 0, pairs.place - first[number // height], 0), pairs.place_step
    own = pairs.place[:, None] + np.minimum(np.arange(most), pairs.count[:, None] - 1).clip(min=0) * pairs.place_step
    return [own[begin : begin + height].ravel() for begin in number[::height]], number % height * most, 1


@kept
def _chunks(step: ConvTransposeStep, threads: int) -> _Chunks:
    row, lanes = _row(step), register_lanes(step.storage.accumulator)
    deep, high, _ = step.pairs
    height, vectors = len(high.count), -(-int(row.phases["count"].max()) // lanes)
    beyond, most_above = row.beyond(lanes), int(high.count.max())
    arrays, wanted = step.batch * step.groups * len(deep.count), 4 * threads
    of_vector = int(deep.count.max()) * step.channels_in * len(row.lines) * step.parts * lanes
    of_vector *= np.dtype(step.storage.accumulator).itemsize

    def too_large(vectors: int) -> bool:
        first, last = _ends(high, height)
        rows = min(int((last - first).max()) + 1, most_above * height)
        return rows * of_vector * (vectors + beyond) > _MOST_BYTES

    def too_few(parts: int) -> bool:
        return arrays * -(-len(high.count) // height) * parts < wanted

    while height > 1 and (too_large(vectors) or (height > _FEW_ROWS and too_few(1))):
        height = -(-height // 2)
    part = vectors
    while part > max(_FEW_VECTORS, 4 * beyond) and (too_large(part) or too_few(-(-vectors // part))):
        part = -(-part // 2)
    rows, slots, slot_step = _rows(high, height)
    begins, starts = np.cumsum([0, *map(len, rows)]), np.arange(0, vectors, part)
    chunks = np.zeros((len(deep.count), len(rows), len(starts)), CHUNK)
    chunks["depth"] = np.arange(len(deep.count))[:, None, None]
    chunks["begin"] = (np.arange(len(rows)) * height)[:, None]
    chunks["end"] = (chunks["begin"] + height).clip(max=len(high.count))
    chunks["first_row"], chunks["rows"] = begins[:-1, None], np.diff(begins)[:, None]
    chunks["start"], chunks["stop"] = starts * lanes, (starts + part).clip(max=vectors) * lanes
    return _Chunks(chunks.ravel(), np.concatenate(rows), slots, slot_step, int(np.diff(begins).max()), part)


# ---- the kernel ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Ways:
    """How the kernel reads, sums up and writes.

    Attributes
    ----------
    height : int
        Scalars of the channels of a group of the output.
    rows, vectors : int
        Rows and vectors of a block of sums.
    together : int
        Lines that are laid out together, one for each scalar of each phase, or 0.
    square : int
        Scalars of neighbouring channels that are laid out together, or 0.
    beside : int
        Phases that are written together, or 0.
    """

    height: int
    rows: int
    vectors: int
    together: int
    square: int
    beside: int


def _ways(step: ConvTransposeStep) -> _Ways:
    row, height = _row(step), step.channels_out * step.parts
    rows = rows_for(height) if step.channels_out > 1 else step.parts
    together, phases = row.step * step.parts, len(row.phases)
    alone, whole = step.channels_in * step.groups == 1, step.adjoint or phases == step.stride
    apart = step.channels_last and not alone
    scalars = step.channels_in * step.parts
    return _Ways(
        height=height,
        rows=rows,
        vectors=VECTORS if step.channels_out > 1 else _ALONE,
        together=together if not apart and together <= _MOST_TOGETHER else 0,
        square=min(register_lanes(step.storage.accumulator), 1 << scalars.bit_length() - 1)
        if step.channels_last and step.channels_in > 1
        else 0,
        beside=phases if step.parts == 1 and whole and phases <= _MOST_TOGETHER and not step.channels_last else 0,
    )


def row_cycles(step: ConvTransposeStep) -> float:
    """Return about how many cycles the sums of an image and group take row by row, with vectors of a cache line."""
    row, ways, lanes = _row(step), _ways(step), BYTES // np.dtype(step.storage.accumulator).itemsize
    (deep, high, _), vectors = step.pairs, -(-row.phases["count"] // lanes)
    planes, above = int(deep.count.sum()), int(high.count.sum())  # those of all rows of outputs
    laid = planes * step.size_in[1] * step.channels_in * step.parts * len(row.lines)
    laid *= int(vectors.max()) + row.beyond(lanes)
    terms = (row.phases["end"] - row.phases["begin"]) * step.channels_in * step.parts
    blocks, down = -(-vectors // ways.vectors), -(-ways.height // ways.rows)
    factors = prod(step.kernel) * step.channels_in * ways.height * step.parts
    return (
        laid * (_PICK if ways.together or ways.square else _COLLECT)
        + down * planes * above * float((terms * (vectors * ways.rows * _ROW + blocks * _TERM)).sum())
        + down * len(deep.count) * len(high.count) * float(blocks.sum()) * _BLOCK
        + factors * _FACTOR * max(1, num_threads() / step.groups) / max(1, step.batch)  # by each thread
        + prod(step.size_out) * ways.height * _WRITE
    )


def _table(pairs: Pairs, place: Ints, place_step: int) -> tuple[Any, tuple[int, int]]:
    return np.stack([place, pairs.tap, pairs.count]), (place_step, pairs.tap_step)


@kept
def _row_work(step: ConvTransposeStep, threads: int, exact: int) -> tuple[Work, int]:
    """Return what forms the sums, and how many jobs that are for so many threads."""
    row, chunks, ways = _row(step), _chunks(step, threads), _ways(step)
    (deep, high, _), real = step.pairs, np.dtype(step.storage.accumulator).type
    lanes = register_lanes(step.storage.accumulator)
    planes, down = int(deep.count.max()), -(-ways.height // ways.rows)
    to_line = (chunks.vectors + row.beyond(lanes)) * lanes
    to_channel = (len(row.lines) * step.parts * to_line // lanes | 1) * lanes  # not a power of two, for the cache
    to_row = step.channels_in * to_channel
    to_plane = chunks.most_rows * to_row
    # The terms of a phase: channels, then taps, then parts.
    order = np.argsort(np.tile(row.phase, step.channels_in), kind="stable")
    channels = np.arange(step.channels_in)[:, None] * to_channel
    steps = (channels + row.line * step.parts * to_line + row.ahead).ravel()[order]
    steps = (steps[:, None] + np.arange(step.parts) * to_line).ravel()
    marks = np.repeat(np.tile(row.line * to_line + row.ahead, step.channels_in)[order], step.parts)

    taps = prod(step.kernel[:2])
    sizes = record_of_fields(
        SIZES, images=step.batch, channels=step.channels_in, height=ways.height, taps=taps, kernel_h=step.kernel[1],
        kernel_w=step.kernel[2], size_in=step.size_in, size_out=step.size_out,
        strides_in=step.strides(step.size_in, step.channels_in),
        strides_out=step.strides(step.size_out, step.channels_out), weight_strides=step.weight_strides, step=row.step,
        to_line=to_line, to_channel=to_channel, to_row=to_row, to_plane=to_plane, pitch=chunks.vectors * lanes,
        terms=len(steps),
    )  # fmt: skip
    jobs, factors = step.batch * step.groups * len(chunks.chunks), down * taps * len(steps) * ways.rows
    x, weight, bias, out = arrays_of(step)
    forming = work(
        row_kernel(
            kind_of(step.storage.name), step.parts, lanes, ways.rows, ways.vectors, ways.together, ways.square,
            ways.beside, int(step.channels_last and ways.rows > step.parts), conjugates(step), exact,
        ),
        x, weight, bias, out, Given(np.bool_, (jobs,)), sizes, chunks.chunks, chunks.rows,
        *_table(deep, deep.place, deep.place_step), *_table(high, chunks.slots, chunks.slot_step),
        row.lines, row.phases, row.tap, steps, marks, real(0.0),
        Room(real, (planes * to_plane,)), Room(real, (exact * len(row.lines) * to_line,)),
        Room(real, (factors,)), Room(real, (ways.rows * max(ways.beside, 1) * chunks.vectors * lanes,)),
        Room(real, (max(ways.beside, ways.rows) * lanes,)),
        Room(step.storage.carrier, (max(ways.together, ways.square) * lanes,)),
        rows=jobs, cost=out.nbytes * step.channels_in * prod(step.kernel),
        least=-(-jobs // (2 * threads)) if factors > _MANY_FACTORS else 1,
    )  # fmt: skip
    return forming, jobs


def run_by_rows(step: ConvTransposeStep, x: Any, weight: Any, bias: Any, out: Any) -> None:
    """Compute a transposed convolution of flat arrays row by row; without a bias, that is empty."""
    run_exactly(partial(_row_work, step, num_threads()), x, weight, bias, out)
