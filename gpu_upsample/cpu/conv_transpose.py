"""Transposed convolution on the CPU: sums formed directly, or a matrix product and sums over its columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from math import prod
from typing import Any

import numpy as np
from numba import njit

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.kernels import fma, narrow, widen
from gpu_upsample.cpu.rearrange import run_fold
from gpu_upsample.cpu.threads import run_in_parts
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.dtypes import STORAGE
from gpu_upsample.plan.rearrange import FoldStep
from gpu_upsample.plan.windows import Pairs

# Columns of one matrix product, in bytes: they should still be in the cache when they are summed.
COLUMN_BYTES = 1 << 21


@cache
def _direct_kernel(KIND: int, PARTS: int, STRIDE: int, LAST: int, ADJOINT: int) -> Any:  # noqa: N803
    """Return the kernel that forms the sums of whole output rows.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalars.
    PARTS : int
        Scalars of an element, 2 for complex numbers.
    STRIDE : int
        Stride along a row if it is 1 or 2, else 0.
    LAST : int
        1 if channels are the last axis, so that the samples of a row are not neighbours.
    ADJOINT : int
        1 if the windows are the output, 0 if they are the input.
    """

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(
        x, weight, bias, out, first, last, sizes, channels, stride, padding, dilation, strides_in, strides_out,
        strides_weight, depth_table, depth_steps, height_table, height_steps, zero, line,
    ):  # fmt: skip
        height_in, width_in, depth_out, height_out, width_out, kernel_h, kernel_w = sizes
        in_group, out_group, groups = channels
        step = STRIDE if STRIDE else stride
        between_in = strides_in[2] if LAST else 1
        between_out = strides_out[2] if LAST else 1
        windows, samples = (width_out, width_in) if ADJOINT else (width_in, width_out)
        for row in range(first, last):
            oh, rest = row % height_out, row // height_out
            od, rest = rest % depth_out, rest // depth_out
            channel, image = rest % (out_group * groups), rest // (out_group * groups)
            group, co = channel // out_group, channel % out_group
            for to in range(PARTS):
                first_term = widen(KIND, bias[channel * PARTS + to]) if bias.size else zero
                for ow in range(width_out):
                    line[ow * PARTS + to] = first_term
            for a in range(depth_table[2, od]):
                sample_d = depth_table[0, od] + a * depth_steps[0]
                tap_d = depth_table[1, od] + a * depth_steps[1]
                for b in range(height_table[2, oh]):
                    sample_h = height_table[0, oh] + b * height_steps[0]
                    tap_h = height_table[1, oh] + b * height_steps[1]
                    place = (sample_d * height_in + sample_h) * width_in
                    tap = (tap_d * kernel_h + tap_h) * kernel_w
                    for c in range(in_group):
                        ci = group * in_group + c
                        src = image * strides_in[0] + ci * strides_in[1] + place * strides_in[2]
                        factors = group * strides_weight[0] + c * strides_weight[1] + co * strides_weight[2] + tap
                        for k in range(kernel_w):
                            shift = k * dilation - padding
                            begin = max(0, (-shift + step - 1) // step)
                            end = min(windows, (samples - 1 - shift) // step + 1)
                            for part in range(PARTS * PARTS):
                                to, of = part // PARTS, part % PARTS  # (a + bi)(c + di) = (ac - bd) + (ad + bc)i
                                factor = widen(KIND, weight[(factors + k) * PARTS + (to ^ of)])
                                if (to > of) if ADJOINT else (of > to):  # the adjoint has a - bi
                                    factor = -factor
                                for w in range(begin, end):
                                    sample = w * step + shift
                                    i, at = (sample, w) if ADJOINT else (w, sample)
                                    value = widen(KIND, x[(src + i * between_in) * PARTS + of])
                                    line[at * PARTS + to] = fma(factor, value, line[at * PARTS + to])
            dst = image * strides_out[0] + channel * strides_out[1]
            dst += (od * height_out + oh) * width_out * strides_out[2]
            for ow in range(width_out):
                for to in range(PARTS):
                    out[(dst + ow * between_out) * PARTS + to] = narrow(KIND, line[ow * PARTS + to])

    return kernel


def _table(pairs: Pairs) -> tuple[Any, tuple[int, int]]:
    return np.stack([pairs.place, pairs.tap, pairs.count]), (pairs.place_step, pairs.tap_step)


def _run_direct(step: ConvTransposeStep, x: Any, weight: Any, bias: Any, out: Any) -> None:
    real = np.dtype(step.storage.accumulator).type
    kernel = _direct_kernel(
        kind_of(step.storage.name),
        step.parts,
        step.stride if step.stride <= 2 else 0,
        int(step.channels_last),
        int(step.adjoint),
    )
    sizes = (*step.size_in[1:], *step.size_out, *step.kernel[1:])
    channels = (step.channels_in, step.channels_out, step.groups)
    strides_in = step.strides(step.size_in, step.channels_in)
    strides_out = step.strides(step.size_out, step.channels_out)
    tables = (step.weight_strides, *_table(step.pairs[0]), *_table(step.pairs[1]))

    def work(first: int, last: int) -> None:
        kernel(
            x, weight, bias, out, first, last, sizes, channels, step.stride, step.padding, step.dilation,
            strides_in, strides_out, *tables, real(-0.0), np.empty(step.size_out[2] * step.parts, real),
        )  # fmt: skip

    rows = step.batch * step.groups * step.channels_out * prod(step.size_out[:2])
    run_in_parts(work, rows, out.nbytes * step.channels_in * prod(step.kernel), least=1)


@dataclass(frozen=True, eq=False)
class _Block:
    """Some output rows of one image and group, and the input rows that reach them."""

    rows: slice
    windows: slice
    fold: FoldStep


@lru_cache(maxsize=64)
def _blocks(step: ConvTransposeStep) -> tuple[_Block, ...]:
    """Cut the output rows so that the columns of a block stay in the cache.

    A window that reaches two blocks is multiplied for both: few do, where a block has many rows.
    """
    depth, height, width = step.axes
    accumulator = STORAGE[step.storage.accumulator]
    columns = step.size_in[0] * step.size_in[2] * step.channels_out * prod(step.kernel)
    windows = max(1, COLUMN_BYTES // (columns * accumulator.itemsize))
    rows = -(-step.size_out[1] * windows // step.size_in[1])
    found = []
    for top in range(0, step.size_out[1], rows):
        part = slice(top, min(top + rows, step.size_out[1]))
        reached = height.count[part] > 0
        high = int(np.max(height.window[part], where=reached, initial=0))
        lowest = height.window[part] - (height.count[part] - 1) * height.window_step
        low = int(np.min(lowest, where=reached, initial=high))
        here = replace(
            height,
            n_windows=high + 1 - low,
            window=np.where(reached, height.window[part] - low, 0),
            tap=height.tap[part],
            count=height.count[part],
        )
        bias = step.storage if step.bias else None
        fold = FoldStep(1, step.channels_out, (depth, here, width), accumulator, step.storage, step.parts, bias)
        found.append(_Block(part, slice(low, high + 1), fold))
    return tuple(found)


def _run_by_product(step: ConvTransposeStep, x: Any, weight: Any, bias: Any, out: Any) -> None:
    """Multiply the channels by all taps of the weight at once, then sum the products that reach each output."""
    storage = step.storage
    source = _spatial(step, numbers(step, x), step.size_in)
    element = out.dtype if step.parts == 1 else np.result_type(out.dtype, np.complex64)
    target = _spatial(step, out.view(element), step.size_out)
    factors = numbers(step, weight).reshape(step.groups, step.channels_in, -1)
    biases = np.split(bias, step.groups) if step.bias else None
    for image in range(step.batch):
        for block in _blocks(step):
            part = source[image, :, block.windows]
            for group in range(step.groups):
                matrix = part[..., group * step.channels_in : (group + 1) * step.channels_in]
                columns = factors[group].T @ matrix.reshape(-1, step.channels_in).T
                rows = block.rows.stop - block.rows.start
                sums = np.empty((step.channels_out, step.size_out[0], rows, step.size_out[2]), element)
                products = columns.reshape(-1).view(storage.accumulator)
                inputs = (products,) if biases is None else (products, biases[group])
                run_fold(block.fold, *inputs, sums.reshape(-1).view(out.dtype))
                channels = slice(group * step.channels_out, (group + 1) * step.channels_out)
                target[image, :, block.rows, :, channels] = np.moveaxis(sums, 0, -1)


def _spatial(step: ConvTransposeStep, x: Any, size: tuple[int, int, int]) -> Any:
    """Return a view of the shape (batch, depth, height, width, channels), whatever the layout."""
    if step.channels_last:
        return x.reshape(step.batch, *size, -1)
    return np.moveaxis(x.reshape(step.batch, -1, *size), 1, -1)


def numbers(step: ConvTransposeStep, x: Any) -> Any:
    """Return stored words as numbers that BLAS can multiply."""
    if step.storage.name == "bfloat16":
        return (x.astype(np.uint32) << 16).view(np.float32)
    if step.storage.name == "float16":
        return x.view(np.float16).astype(np.float32)
    return x if step.parts == 1 else x.view(np.result_type(x.dtype, np.complex64))


def run_conv_transpose(step: ConvTransposeStep, x: Any, weight: Any, *rest: Any) -> None:
    """Compute a transposed convolution of flat arrays; `rest` is the bias, if there is one, and the output."""
    *biases, out = rest
    bias = biases[0] if biases else np.empty(0, out.dtype)
    (_run_direct if step.direct else _run_by_product)(step, x, weight, bias, out)
