"""Gradients of the transposed convolution on the GPU: sums formed directly, or products by cuBLAS with columns."""

from __future__ import annotations

from math import prod
from typing import Any

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.conv_backward_kernels import ReductionSpec
from gpu_upsample.cuda.conv_transpose import (
    COLUMN_BYTES,
    by_product,
    matrix_precision,
    run_conv_transpose,
)
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.rearrange import run_fold, run_unfold
from gpu_upsample.cuda.run import NARROW, Launch
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.conv_transpose_backward import ConvTransposeBackwardStep, ReductionStep, rounding
from gpu_upsample.plan.dtypes import STORAGE
from gpu_upsample.plan.rearrange import UnfoldStep


# ---- sums formed directly -----------------------------------------------------------------------------------
@kept
def _tables(step: ReductionStep, device: int) -> memory.Tables:
    return memory.upload_uint32(table for axis in step.axes for table in (axis.shift, axis.begin, axis.end))


@kept
def _adding(step: ReductionStep, results: int) -> ReductionStep:
    return step.adding(results)


def _add_lanes(step: ReductionStep, x: Any, factors: Any, out: Any, first: int) -> None:
    """Form the lanes of all blocks of the results from `first` on; `out` has the shape (blocks, lanes, results)."""
    lanes = step.blocks * step.lanes
    total = out.size // step.parts
    wide = max(x.size, factors.size, out.size, step.all_turns + step.turns) + THREADS >= NARROW
    spec = ReductionSpec(step.source.name, step.result.name, step.parts, step.factors > 0, wide)
    sizes = (
        total, first, total // lanes, step.channels, max(step.factors, 1), *step.kernel, *step.size[1:], *step.windows,
        step.segments, step.lanes, step.turns, step.all_turns, *step.strides, *step.factor_strides,
        *(axis.stride % NARROW for axis in step.axes),
    )  # fmt: skip
    tables = _tables(step, x.device.id)
    Launch(spec, total, (*sizes, *tables.addresses), tables).run(x, out, factors)


def _run_reduction(step: ReductionStep, x: Any, factors: Any, out: Any) -> None:
    """Form long sums, some results at a time; `out` is flat, and `factors` is not read where there are none."""
    if not step.batch:
        out.fill(0)
        return
    accumulator, lanes = STORAGE[step.source.accumulator], step.blocks * step.lanes
    most = max(1, COLUMN_BYTES // (lanes * step.parts * accumulator.itemsize))
    for first in range(0, step.elements, most):
        results = min(most, step.elements - first)
        sums = memory.scratch((lanes, results, step.parts), accumulator)
        _add_lanes(step.unrounded, x, factors, sums, first)
        part = out[first * step.parts : (first + results) * step.parts]
        _add_lanes(_adding(step, results), sums, sums, part, 0)


def _run_direct(
    step: ConvTransposeBackwardStep, grad_output: Any, x: Any, weight: Any, grad_x: Any, grad_weight: Any
) -> None:
    if grad_x is not None and grad_x.size:
        run_conv_transpose(step.adjoint, grad_output, weight, grad_x)
    if grad_weight is not None:
        _run_reduction(step.weight, grad_output, x, grad_weight)


# ---- matrix products ----------------------------------------------------------------------------------------
@kept
def _unfolding(step: ConvTransposeBackwardStep, images: int) -> UnfoldStep:
    return step.unfolding(images)


def _columns(step: ConvTransposeBackwardStep, gradient: Any) -> Any:
    """Return the columns of one group of some images."""
    images, inner = gradient.shape[0], prod(step.forward.size_in)
    columns = memory.empty((images, step.forward.channels_out * prod(step.forward.kernel), inner), gradient.dtype)
    source = memory.cupy().ascontiguousarray(gradient)
    run_unfold(_unfolding(step, images), source.reshape(-1), columns.reshape(-1))
    return columns


def _run_by_product(
    step: ConvTransposeBackwardStep, grad_output: Any, x: Any, weight: Any, grad_x: Any, grad_weight: Any
) -> None:
    """Multiply the columns by the weight, and the input by the columns."""
    conv, matmul = step.forward, memory.cupy().matmul
    gradient = conv.planes(conv.numbers(grad_output), conv.size_out)
    source = conv.planes(conv.numbers(x), conv.size_in).conj()
    factors = conv.numbers(weight).reshape(conv.groups, conv.channels_in, -1).conj()
    sums = memory.empty(factors.shape, factors.dtype)
    sums.fill(0)
    image_bytes = factors.shape[2] * prod(conv.size_in) * factors.dtype.itemsize
    images = max(1, min(conv.batch, COLUMN_BYTES // image_bytes))
    for first in range(0, conv.batch, images):
        last = min(first + images, conv.batch)
        for group in range(conv.groups):
            columns = _columns(step, gradient[first:last, group])
            with matrix_precision(conv.precision):
                if grad_weight is not None:
                    for image in range(first, last):
                        sums[group] += matmul(source[image, group], columns[image - first].T)
                if grad_x is not None:
                    target = conv.planes(conv.elements(grad_x), conv.size_in)
                    target[first:last, group] = _as_stored(conv, matmul(factors[group], columns))
    if grad_weight is not None:
        conv.elements(grad_weight)[:] = _as_stored(conv, sums).reshape(-1)


def _as_stored(step: ConvTransposeStep, values: Any) -> Any:
    """Return numbers as they are stored."""
    if step.storage.name == step.storage.accumulator:
        return values
    out = memory.empty(values.shape, step.storage.carrier)
    fold = rounding(step, prod(values.shape[:-1]), values.shape[-1])
    run_fold(fold, memory.cupy().ascontiguousarray(values).reshape(-1), out.reshape(-1))
    return out


# ---- both ---------------------------------------------------------------------------------------------------
def run_conv_transpose_backward(
    step: ConvTransposeBackwardStep, grad_output: Any, x: Any, weight: Any, *outputs: Any
) -> None:
    """Compute the gradients that are needed."""
    wanted = (array.reshape(-1) for array in outputs)
    grad_x, grad_weight, grad_bias = (next(wanted) if need else None for need in step.needs)
    if grad_x is not None or grad_weight is not None:
        run = _run_by_product if by_product(step.direct) else _run_direct
        run(step, grad_output, x, weight, grad_x, grad_weight)
    if grad_bias is not None:
        _run_reduction(step.bias, grad_output, x, grad_bias)
