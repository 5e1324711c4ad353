"""Gradients of the transposed convolution on the CPU.

That for the input is a convolution, formed as the forward is. Those for the weight and the bias are long sums, formed
directly or, for the weight, by matrix products with columns.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Given, Room
from gpu_upsample.cpu.bundles import room_for_sums
from gpu_upsample.cpu.conv_transpose import run_conv_transpose
from gpu_upsample.cpu.rearrange import run_fold, run_unfold
from gpu_upsample.cpu.reduction_kernels import reduction_kernel
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose_backward import ConvTransposeBackwardStep, ReductionStep, rounding
from gpu_upsample.plan.dtypes import STORAGE
from gpu_upsample.plan.rearrange import UnfoldStep

# Columns of one matrix product, in bytes: they should still be in the cache when they are multiplied.
COLUMN_BYTES = 1 << 21
# Windows of one matrix product at least: all sums are added to those of the product before.
_LONG = 512
# Up to so many channels of a group, the pass over columns outweighs their matrix product.
_FEW_CHANNELS = 48
# Samples along a row that lie so far apart are read in vectors, with all between.
_STRIDES = (1, 2, 4, 8)
# Windows of a vector: as many as a turn has, at least; masks leave out those that are more.
_LANES = (8, 16, 32)
# Factors by taps that are multiplied at a time. Samples with a stride take longer to load than factors.
_BLOCKS = ((6, 2), (3, 4), (3, 2), (1, 4), (1, 2), (1, 1))


# ---- sums formed directly -----------------------------------------------------------------------------------
def _in_rows(step: ReductionStep) -> bool:
    """Return whether the samples of a row, and the factors, are read in vectors."""
    return max(step.strides[2], step.factor_strides[2]) == 1 and step.parts == 1 and step.axes[2].stride in _STRIDES


@kept
def _reduction_work(step: ReductionStep) -> Work:
    real, carrier, wide = np.dtype(step.source.accumulator).type, step.source.carrier, step.axes[2]
    lanes = next(lanes for lanes in _LANES if step.lanes <= lanes)
    near = wide.stride if _in_rows(step) else 0
    taps = step.channels * step.kernel[2]
    rows, columns = _block(step.factors, taps, room_for_sums(lanes, np.dtype(real).itemsize, step.parts))
    kernel = reduction_kernel(kind_of(step.source.name), step.parts, lanes, near, rows, columns)
    channel = np.arange(step.channels)[:, None] * step.strides[1]
    places = (channel + wide.shift * step.strides[2]).ravel()
    begins, ends = (np.tile(bound, step.channels) for bound in (wide.begin, wide.end))
    held, pitch = max(rows, 1), lanes * max(near, 1)
    axes = ((axis.shift, axis.begin, axis.end, axis.stride) for axis in step.axes[:2])
    rooms = Room(carrier, (step.parts * columns * pitch,)), Room(carrier, ((2 * step.parts - 1) * held * lanes,))
    per_channel = step.batch * step.groups * step.parts
    sizes = step.channels * prod(step.size), step.factors * prod(step.windows)
    x, factors = (Given(carrier, (per_channel * size,)) for size in sizes)
    out = Given(step.result.carrier, (step.elements * step.parts,))
    return work(
        kernel, x, factors, out, step.channels, max(step.factors, 1), step.batch * step.windows[0], step.size,
        step.windows, step.kernel, *axes, places, begins, ends, wide.stride * step.strides[2], step.strides,
        step.factor_strides, step.turns, step.lanes, real(-0.0), np.arange(columns) * pitch, *rooms,
        Room(real, (step.parts * held * columns,)),
        rows=step.groups * -(-max(step.factors, 1) // held) * -(-taps // columns) * prod(step.kernel[:2]),
        cost=step.elements * prod(step.windows) * step.batch * step.source.itemsize,
    )  # fmt: skip


def _block(factors: int, taps: int, room: int) -> tuple[int, int]:
    """Return how many factors and taps are multiplied at a time, given how many sums the registers hold.

    Without factors, there is one sum for each channel: a thread goes through one channel after another.

    Examples
    --------
    >>> _block(16, 64, 12), _block(1, 4, 12), _block(16, 64, 6), _block(0, 16, 12)
    ((6, 2), (1, 4), (3, 2), (0, 1))
    """
    if factors == 0:
        return 0, 1
    return next(block for block in _BLOCKS if block[0] <= factors and block[1] <= taps and prod(block) <= room)


def _run_reduction(step: ReductionStep, x: Any, factors: Any, out: Any) -> None:
    """Form long sums; all arrays are flat, and `factors` is empty where there are none."""
    if step.batch and step.elements:
        _reduction_work(step).run(x, factors, out)
    else:
        out.fill(0)


# ---- matrix products ----------------------------------------------------------------------------------------
class _Block(NamedTuple):
    """Windows whose columns are multiplied at once: of some arrays all, or of one some rows."""

    images: slice
    windows: slice
    unfolding: UnfoldStep


@kept
def _blocks(step: ConvTransposeBackwardStep) -> tuple[_Block, ...]:
    """Cut the windows so that the columns of a block stay in the cache, but not so that products become short."""
    conv = step.forward
    rows, width = prod(conv.size_in[:2]), conv.size_in[2]
    window_bytes = conv.channels_out * prod(conv.kernel) * STORAGE[conv.storage.accumulator].itemsize * conv.parts
    most = max(_LONG, COLUMN_BYTES // window_bytes)
    images, lines = min(conv.batch, max(1, most // (rows * width))), min(rows, max(1, most // width))
    parts = [slice(row, row + lines) for row in range(0, rows, lines)]
    starts = range(0, conv.batch, images)
    numbers = {min(images, conv.batch - start) for start in starts}
    steps = {(number, part.start): step.unfolding_together(number, part) for number in numbers for part in parts}
    return tuple(
        _Block(
            slice(start, start + images),
            slice(part.start * width, part.stop * width),
            steps[min(images, conv.batch - start), part.start],
        )
        for start in starts
        for part in parts
    )


def _weight_by_product(step: ConvTransposeBackwardStep, grad_output: Any, x: Any, grad_weight: Any) -> None:
    """Multiply the input by the columns, and add up."""
    conv = step.forward
    gradient = conv.planes(conv.numbers(grad_output), conv.size_out)
    source = np.conj(conv.planes(conv.numbers(x), conv.size_in))
    taps = conv.channels_out * prod(conv.kernel)
    as_stored = conv.storage.name == conv.storage.accumulator
    shape = (conv.groups, conv.channels_in, taps)
    sums = conv.elements(grad_weight).reshape(shape) if as_stored else np.empty(shape, source.dtype)
    with np.errstate(all="ignore"):  # infinities and NaN are numbers here, as in the other operators
        for group, total in enumerate(sums):
            for number, block in enumerate(_blocks(step)):
                samples = np.ascontiguousarray(gradient[block.images, group].swapaxes(0, 1))
                factors = source[block.images, group, :, block.windows].swapaxes(0, 1).reshape(conv.channels_in, -1)
                columns = np.empty((taps, factors.shape[1]), samples.dtype)
                run_unfold(block.unfolding, samples.reshape(-1), columns.reshape(-1))
                if number == 0:
                    np.matmul(factors, columns.T, out=total)
                else:
                    total += factors @ columns.T
    if not as_stored:
        run_fold(rounding(conv, len(sums), conv.channels_in * taps), sums.reshape(-1), grad_weight)


def _suits_rows(step: ConvTransposeBackwardStep) -> bool:
    """Return whether the gradient of a weight is formed sooner row by row than by matrix products."""
    return step.forward.channels_in <= _FEW_CHANNELS and _in_rows(step.weight)


# ---- both ---------------------------------------------------------------------------------------------------
def run_conv_transpose_backward(
    step: ConvTransposeBackwardStep, grad_output: Any, x: Any, weight: Any, *outputs: Any
) -> None:
    """Compute the gradients that are needed of flat arrays."""
    wanted = iter(outputs)
    grad_x, grad_weight, grad_bias = (next(wanted) if need else None for need in step.needs)
    if grad_x is not None:
        run_conv_transpose(step.adjoint, grad_output, weight, grad_x)
    if grad_weight is not None and (step.direct or _suits_rows(step) or not grad_weight.size):
        _run_reduction(step.weight, grad_output, x, grad_weight)
    elif grad_weight is not None:
        _weight_by_product(step, grad_output, x, grad_weight)
    if grad_bias is not None:
        _run_reduction(step.bias, grad_output, x[:0], grad_bias)
