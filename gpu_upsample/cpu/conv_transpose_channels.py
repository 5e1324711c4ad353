"""Transposed convolution on the CPU with channels last: which of them, and which outputs, are summed up together."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Given, Room, record_of_fields
from gpu_upsample.cpu.conv_transpose_arrays import arrays_of, conjugates
from gpu_upsample.cpu.conv_transpose_channel_kernels import (
    BLOCKS,
    CHUNK,
    DEPTH,
    SEGMENT,
    SIZES,
    channel_kernel,
    factor_kernel,
)
from gpu_upsample.cpu.processors import num_threads
from gpu_upsample.cpu.tiles import CHANNEL_VECTORS, POSITIONS, register_lanes
from gpu_upsample.cpu.vectors import BYTES, aligned
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.windows import Pairs, Triple

# Each phase is planned by itself, up to so many.
_MOST_PHASES = 1 << 12
# The outputs of a part of the work take about so many bytes, as all phases read the same samples.
_NEAR_BYTES = 1 << 20
# Cycles on an EPYC.
_VECTOR, _TERM = 2.6, 4.6  # to add a term to a block, for each vector, but never less than the second
_POSITION = 20  # to find a position and write its sums
_LIST = 3  # to list a term
_FACTOR = 1  # to lay out a factor


@dataclass(frozen=True)
class _Channels:
    """The channels of a step; groups of one channel each are taken for the channels of one group.

    Attributes
    ----------
    each : bool
        Whether that is so.
    groups, channels : int
        Groups, and the channels of one of the input.
    height : int
        Scalars of the channels of a group of the output.
    weight_strides : tuple of 3 int
        Distance of the groups, of the input's channels and of the output's channels within the weight.
    """

    each: bool
    groups: int
    channels: int
    height: int
    weight_strides: Triple


def _channels(step: ConvTransposeStep) -> _Channels:
    if step.channels_in == step.channels_out == step.parts == 1 and step.groups > 1:
        return _Channels(True, 1, 1, step.groups, (0, 0, step.weight_strides[0]))
    return _Channels(False, step.groups, step.channels_in, step.channels_out * step.parts, step.weight_strides)


def _chunks(channels: _Channels, lanes: int) -> Any:
    """Return which scalars of a group of the output are summed up together: as many vectors each time, about."""
    vectors = -(-channels.height // lanes)
    # Vectors of samples may not reach beyond a position, so the last chunk begins earlier, and there have to be two.
    # Its first scalars are formed twice, perhaps by two threads, which write the same.
    number = max(-(-vectors // CHANNEL_VECTORS), min(vectors, 2) if channels.each and channels.height % lanes else 1)
    bounds = np.arange(number + 1) * vectors // number
    chunks = np.zeros(number, CHUNK)
    chunks["first"], chunks["vectors"] = bounds[:-1] * lanes, np.diff(bounds)
    if channels.each:
        chunks["first"] = np.minimum(chunks["first"], channels.height - chunks["vectors"] * lanes)
    return chunks


def _steps(step: ConvTransposeStep) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return for each axis how far the outputs of a segment lie apart, and how far their first samples do."""
    strides, ones = tuple(axis.stride for axis in step.axes), (1, 1, 1)
    return (ones, strides) if step.adjoint else (strides, ones)


def _segments_of_axis(pairs: Pairs, between: int) -> Any:
    """Return the segments of an axis, whose outputs lie `between` apart.

    Outputs of one phase of the stride read their samples by the same taps, but near the ends, where some taps see none:
    each run of outputs with the same taps is a segment.
    """
    n = len(pairs.count)
    output = np.arange(-(-n // between) * between).reshape(-1, between).T.ravel()  # of one phase, then of the next
    output = output[output < n]
    count, tap, place = (each[output] for each in (pairs.count, pairs.tap, pairs.place))
    tap, place = np.where(count > 0, [tap, place], 0)
    runs_on = (np.diff(output) == between) & (np.diff(count) == 0) & (np.diff(tap) == 0)
    begin = np.flatnonzero(np.append(True, ~runs_on))
    segments = np.zeros(len(begin), SEGMENT)
    segments["first"], segments["count"] = output[begin], np.diff(begin, append=n)
    segments["place"], segments["tap"], segments["pairs"] = place[begin], tap[begin], count[begin]
    return segments


@kept
def _segments(step: ConvTransposeStep) -> tuple[Any, Any, Any]:
    deep, high, wide = map(_segments_of_axis, step.pairs, _steps(step)[0])
    return deep, high, wide


def _cuts(step: ConvTransposeStep, together: int, threads: int) -> int:
    """Return into how many parts positions are cut, for so many groups and chunks."""
    size = step.batch * prod(step.size_out) * step.groups * step.channels_out * step.parts * step.storage.itemsize
    return max(-(-4 * threads // together), size // (together * _NEAR_BYTES))


def channel_cycles(step: ConvTransposeStep) -> float:
    """Return about how many cycles the sums of an image and group take with neighbouring channels together.

    That is with vectors of a cache line; and for ever where channels are not last, where each has samples of its own
    but there are fewer than a vector has lanes, or where there are too many phases.
    """
    channels, itemsize = _channels(step), np.dtype(step.storage.accumulator).itemsize
    scarce = channels.each and channels.height < BYTES // itemsize
    if not step.channels_last or scarce or prod(_steps(step)[0]) > _MOST_PHASES:
        return inf
    chunks, batch = _chunks(channels, BYTES // itemsize), max(1, step.batch)
    pairs = prod(int(part.count.sum()) for part in step.pairs) * channels.channels * step.parts  # of all positions
    positions, regions = prod(step.size_out), prod(map(len, _segments(step)))
    # The last block of each part of a region is filled up, by half of it in the mean.
    blocks = positions / POSITIONS + regions * _cuts(step, channels.groups * len(chunks), num_threads()) / batch / 2
    term = float(np.maximum(chunks["vectors"] * _VECTOR, _TERM).sum())
    once = regions * pairs / positions * _LIST + prod(step.kernel) * channels.channels * channels.height * _FACTOR
    cycles = blocks * pairs / positions * term + positions * len(chunks) * _POSITION + once / batch
    return cycles * channels.groups / step.groups


@kept
def _factor_work(step: ConvTransposeStep) -> tuple[Work, int]:
    """Return what lays out the weight, and how many factors that are."""
    lanes, real = register_lanes(step.storage.accumulator), np.dtype(step.storage.accumulator).type
    sizes, chunks, channels = _sizes(step), _chunks(_channels(step), lanes), _channels(step)
    laid = channels.groups * len(chunks) * int(sizes["to_chunk"][0])
    _, weight, _, _ = arrays_of(step)
    taps = min(lanes, max(2, 1 << (prod(step.kernel) - 1).bit_length()))
    laying = work(
        factor_kernel(
            kind_of(step.storage.name), step.parts, lanes, CHANNEL_VECTORS, taps, conjugates(step)
        ),
        weight, Given(real, (laid,)), sizes, chunks, real(0.0),
        Room(step.storage.carrier, (lanes * taps,)),
        rows=channels.groups * len(chunks) * channels.channels,
    )  # fmt: skip
    return laying, laid


def _sizes(step: ConvTransposeStep, cuts: int = 1) -> Any:
    channels = _channels(step)
    output_step, place_step = _steps(step)
    term = step.parts * CHANNEL_VECTORS * register_lanes(step.storage.accumulator)
    return record_of_fields(
        SIZES, images=step.batch, channels=channels.channels, height=channels.height, cuts=cuts, kernel=step.kernel,
        size_in=step.size_in, size_out=step.size_out, strides_in=step.strides(step.size_in, step.channels_in),
        strides_out=step.strides(step.size_out, step.channels_out), weight_strides=channels.weight_strides,
        output_step=output_step, place_step=place_step, pair_step=[pairs.place_step for pairs in step.pairs],
        tap_step=[pairs.tap_step for pairs in step.pairs], to_chunk=prod(step.kernel) * channels.channels * term,
    )  # fmt: skip


@kept
def _channel_work(step: ConvTransposeStep, threads: int) -> Work:
    """Return what forms the sums."""
    lanes, real = register_lanes(step.storage.accumulator), np.dtype(step.storage.accumulator).type
    channels, chunks = _channels(step), _chunks(_channels(step), lanes)
    x, _, bias, out = arrays_of(step)
    together = channels.groups * len(chunks)
    cuts = _cuts(step, together, threads)
    _, laid = _factor_work(step)
    return work(
        channel_kernel(kind_of(step.storage.name), step.parts, lanes, POSITIONS, CHANNEL_VECTORS, int(channels.each)),
        x, Given(real, (laid,)), bias, out, _sizes(step, cuts), chunks, *_segments(step), real(0.0),
        *[Room(np.int64, (BLOCKS * POSITIONS,))] * 2, *[Room(np.int64, (DEPTH,))] * 2,
        Room(real, (CHANNEL_VECTORS * lanes,)), Room(real, (BLOCKS * POSITIONS * CHANNEL_VECTORS * lanes,)),
        rows=together * cuts, cost=out.nbytes * step.channels_in * prod(step.kernel),
    )  # fmt: skip


def run_by_channels(step: ConvTransposeStep, x: Any, weight: Any, bias: Any, out: Any) -> None:
    """Compute a transposed convolution of flat arrays; without a bias, that is empty."""
    laying, laid = _factor_work(step)
    factors = aligned(laid, step.storage.accumulator)
    laying.run(weight, factors)
    _channel_work(step, num_threads()).run(x, factors, bias, out)
