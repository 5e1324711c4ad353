"""Gradients of the transposed convolution on the CPU.

That for the input is a convolution, formed as the forward is. Those for the weight and the bias are long sums, formed
directly or, for the weight, by matrix products with columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Room, unpack
from gpu_upsample.cpu.arithmetic import fma, narrow, widen
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.conv_transpose import run_conv_transpose
from gpu_upsample.cpu.launch import Launch
from gpu_upsample.cpu.rearrange import run_fold, run_unfold
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.conv_transpose_backward import ConvTransposeBackwardStep, ReductionStep, rounding
from gpu_upsample.plan.dtypes import STORAGE
from gpu_upsample.plan.rearrange import UnfoldStep

# Columns of one matrix product, in bytes: they should still be in the cache when they are multiplied.
COLUMN_BYTES = 1 << 21


# ---- sums formed directly -----------------------------------------------------------------------------------
@cache
def _reduction_kernel(KIND: int, PARTS: int, FACTORS: int, STRIDE: int) -> Any:  # noqa: N803
    """Return the kernel that forms long sums, one result after another, all lanes of a row at once.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalars.
    PARTS : int
        Scalars of an element, 2 for complex numbers.
    FACTORS : int
        1 if there are factors, else 0.
    STRIDE : int
        Stride along a row if it is 1 or 2 and the samples of a row are neighbours, else 0.
    """

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, factors, out, channels, size, windows, kernel, deep, high, wide, strides, factor_strides, blocks, turns,
            all_turns, segments, lanes, minus_zero, one, line, total,
        ) = unpack(arguments, scratch)  # fmt: skip
        in_group, in_factors = channels
        depth, height, width = windows
        shift_d, begin_d, end_d, stride_d = deep
        shift_h, begin_h, end_h, stride_h = high
        shift_w, begin_w, end_w, stride_w = wide
        step = STRIDE if STRIDE else stride_w
        between = 1 if STRIDE else strides[2]
        between_factors = 1 if STRIDE else factor_strides[2]
        for element in range(first, last):
            kw, rest = element % kernel[2], element // kernel[2]
            kh, rest = rest % kernel[1], rest // kernel[1]
            kd, rest = rest % kernel[0], rest // kernel[0]
            co, ci = rest % in_group, rest // in_group
            channel = ci // in_factors * in_group + co
            for to in range(PARTS):
                total[to] = minus_zero
            for block in range(blocks):
                for i in range(lanes * PARTS):
                    line[i] = minus_zero
                for turn in range(block * turns, min((block + 1) * turns, all_turns)):
                    row, left = turn // segments, turn % segments * lanes
                    h, above = row % height, row // height
                    d, image = above % depth, above // depth
                    if d < begin_d[kd] or d >= end_d[kd] or h < begin_h[kh] or h >= end_h[kh]:
                        continue
                    above = (d * stride_d + shift_d[kd]) * size[1] + h * stride_h + shift_h[kh]
                    source = image * strides[0] + channel * strides[1] + above * size[2] * strides[2]
                    held = (
                        image * factor_strides[0]
                        + ci * factor_strides[1]
                        + row % (depth * height) * width * (factor_strides[2])
                    )
                    begin, end = max(begin_w[kw], left), min(end_w[kw], left + lanes)
                    for part in range(PARTS * PARTS if FACTORS else PARTS):
                        # (a - bi)(c + di) = (ac + bd) + (ad - bc)i
                        to, of = (part // PARTS, part % PARTS) if FACTORS else (part, part)
                        for w in range(begin, end):
                            value = widen(KIND, x[(source + (w * step + shift_w[kw]) * between) * PARTS + of])
                            factor = one
                            if FACTORS:
                                factor = widen(KIND, factors[(held + w * between_factors) * PARTS + (to ^ of)])
                                if to > of:
                                    factor = -factor
                            line[(w - left) * PARTS + to] = fma(factor, value, line[(w - left) * PARTS + to])
                for lane in range(lanes):
                    for to in range(PARTS):
                        total[to] = fma(one, line[lane * PARTS + to], total[to])
            for to in range(PARTS):
                out[element * PARTS + to] = narrow(KIND, total[to])

    return kernel


@kept
def _reduction_launch(step: ReductionStep) -> Launch:
    real, stride = np.dtype(step.source.accumulator).type, step.axes[2].stride
    neighbours = max(step.strides[2], step.factor_strides[2]) == 1
    kernel = _reduction_kernel(
        kind_of(step.source.name), step.parts, int(step.factors > 0), stride if neighbours and stride <= 2 else 0
    )
    axes = ((axis.shift, axis.begin, axis.end, axis.stride) for axis in step.axes)
    geometry = (step.size, step.windows, step.kernel, *axes, step.strides, step.factor_strides)
    order = (step.blocks, step.turns, step.all_turns, step.segments, step.lanes, real(-0.0), real(1.0))
    rooms = Room(real, (step.lanes * step.parts,)), Room(real, (step.parts,))
    return Launch(kernel, (step.channels, max(step.factors, 1)), *geometry, *order, *rooms)


def _run_reduction(step: ReductionStep, x: Any, factors: Any, out: Any) -> None:
    """Form long sums; all arrays are flat, and `factors` is not looked at where there are none."""
    if not step.batch:
        out.fill(0)
        return
    size = step.elements * prod(step.windows) * step.batch * step.source.itemsize
    _reduction_launch(step).run((x, factors, out), step.elements, size, least=1)


# ---- matrix products ----------------------------------------------------------------------------------------
@kept
def _unfoldings(step: ConvTransposeBackwardStep) -> tuple[tuple[slice, UnfoldStep], ...]:
    """Cut the windows of an image, row by row, so that the columns of a block stay in the cache."""
    conv = step.forward
    rows, width = prod(conv.size_in[:2]), conv.size_in[2]
    row_bytes = conv.channels_out * prod(conv.kernel) * width * STORAGE[conv.storage.accumulator].itemsize * conv.parts
    most = max(1, COLUMN_BYTES // row_bytes)
    edges = ((first, min(first + most, rows)) for first in range(0, rows, most))
    return tuple((slice(first * width, last * width), step.unfolding(1, slice(first, last))) for first, last in edges)


def _columns(step: ConvTransposeBackwardStep, planes: Any) -> Iterator[tuple[slice, Any]]:
    """Yield the columns of one group of an image, block by block, each with its windows."""
    taps = step.forward.channels_out * prod(step.forward.kernel)
    for part, unfold in _unfoldings(step):
        columns = np.empty((taps, part.stop - part.start), planes.dtype)
        run_unfold(unfold, planes.reshape(-1), columns.reshape(-1))
        yield part, columns


def _weight_by_product(step: ConvTransposeBackwardStep, grad_output: Any, x: Any, grad_weight: Any) -> None:
    """Multiply the input by the columns, and add up."""
    conv = step.forward
    gradient = conv.planes(conv.numbers(grad_output), conv.size_out)
    source = np.conj(conv.planes(conv.numbers(x), conv.size_in))
    sums = np.zeros((conv.groups, conv.channels_in, conv.channels_out * prod(conv.kernel)), source.dtype)
    with np.errstate(all="ignore"):  # infinities and NaN are numbers here, as in the other operators
        for image in range(conv.batch):
            for group in range(conv.groups):
                for part, columns in _columns(step, np.ascontiguousarray(gradient[image, group])):
                    sums[group] += source[image, group, :, part] @ columns.T
    conv.elements(grad_weight)[:] = _as_stored(conv, sums.reshape(sums.shape[0], -1)).reshape(-1)


def _as_stored(step: ConvTransposeStep, values: Any) -> Any:
    """Return numbers as they are stored."""
    if step.storage.name == step.storage.accumulator:
        return values
    out = np.empty(values.shape, step.storage.carrier)
    run_fold(rounding(step, *values.shape), values.reshape(-1), out.reshape(-1))
    return out


# ---- both ---------------------------------------------------------------------------------------------------
def run_conv_transpose_backward(
    step: ConvTransposeBackwardStep, grad_output: Any, x: Any, weight: Any, *outputs: Any
) -> None:
    """Compute the gradients that are needed of flat arrays."""
    wanted = iter(outputs)
    grad_x, grad_weight, grad_bias = (next(wanted) if need else None for need in step.needs)
    if grad_x is not None:
        run_conv_transpose(step.adjoint, grad_output, weight, grad_x)
    if grad_weight is not None and step.direct:
        _run_reduction(step.weight, grad_output, x, grad_weight)
    elif grad_weight is not None:
        _weight_by_product(step, grad_output, x, grad_weight)
    if grad_bias is not None:
        _run_reduction(step.bias, grad_output, x, grad_bias)
