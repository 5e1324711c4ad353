"""Transposed convolution on the GPU: sums formed directly, or a product by cuBLAS and sums over its columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.conv_kernels import ConvTransposeSpec
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.rearrange import run_fold
from gpu_upsample.cuda.run import NARROW, Launch, runner
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.dtypes import STORAGE
from gpu_upsample.plan.rearrange import FoldStep

# Columns of one matrix product, in bytes: they should stay in the L2 cache until they are summed.
COLUMN_BYTES = 1 << 25
# Samples of an image that are enough to keep a GPU busy. Such images are multiplied one by one: cuBLAS takes two
# matrices as they lie, while for several at once CuPy copies the weight into another order first.
_LARGE_IMAGE = 1 << 12


@kept
def _tables(step: ConvTransposeStep, device: int) -> memory.Tables:
    return memory.upload_uint32(table for pairs in step.pairs for table in (pairs.place, pairs.tap, pairs.count))


def _direct_launch(step: ConvTransposeStep, device: int, *places: int) -> Launch:
    """Return the launch that forms each sum by itself: for the input, the output, the weight and the bias."""
    inputs = prod((step.batch, step.groups, step.channels_in, *step.size_in))
    outputs = prod((step.batch, step.groups, step.channels_out, *step.size_out))
    weights = prod((step.groups, step.channels_in, step.channels_out, *step.kernel))
    wide = max(inputs, outputs, weights) * step.parts + THREADS >= NARROW
    conjugate = step.adjoint and step.parts > 1
    spec = ConvTransposeSpec(step.storage.name, step.parts, step.bias, step.channels_last, wide, conjugate)
    sizes = (
        outputs, step.channels_in, step.channels_out, step.channels_out * step.groups, *step.size_in[1:],
        *step.size_out, *step.kernel[1:], *step.strides(step.size_in, step.channels_in), *step.weight_strides,
        *chain.from_iterable((pairs.place_step % NARROW, pairs.tap_step) for pairs in step.pairs),
    )  # fmt: skip
    tables = _tables(step, device)
    return Launch(spec, outputs, (*sizes, *tables.addresses), tables)


_launch_directly = runner(_direct_launch)


def _run_direct(step: ConvTransposeStep, x: Any, weight: Any, bias: Any, out: Any) -> None:
    _launch_directly(step, x, out, weight, weight if bias is None else bias)


@contextmanager
def matrix_precision(name: str) -> Iterator[None]:
    """Let cuBLAS round the factors of float32 products, or not, whatever the process has set."""
    linalg = memory.cupy()._core._routines_linalg
    wanted = linalg.COMPUTE_TYPE_TF32 if name == "tf32" else linalg.COMPUTE_TYPE_FP32
    before = linalg.get_compute_type(np.float32)
    linalg.set_compute_type(np.float32, wanted)
    try:
        yield
    finally:
        linalg.set_compute_type(np.float32, before)


@cache
def has_matrix_product() -> bool:
    """Return whether CuPy finds cuBLAS here; without it every sum is formed directly."""
    try:
        one = memory.cupy().empty((1, 1), np.float32)
        memory.cupy().matmul(one, one)
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def by_product(direct: bool) -> bool:
    """Return whether cuBLAS multiplies; CuPy does not let it while a CUDA graph is captured."""
    return not direct and not memory.is_capturing() and has_matrix_product()


@kept
def _fold_step(step: ConvTransposeStep, images: int) -> FoldStep:
    bias = step.storage if step.bias else None
    accumulator = STORAGE[step.storage.accumulator]
    return FoldStep(images, step.channels_out, step.axes, accumulator, step.storage, step.parts, bias)


def _run_by_product(step: ConvTransposeStep, x: Any, weight: Any, bias: Any, out: Any) -> None:
    """Multiply the channels by all taps of the weight at once, then sum the products that reach each output."""
    cupy, inner = memory.cupy(), prod(step.size_in)
    source, target = step.planes(step.numbers(x), step.size_in), step.planes(step.elements(out), step.size_out)
    factors = step.numbers(weight).reshape(step.groups, step.channels_in, -1)
    image_bytes = factors.shape[2] * inner * STORAGE[step.storage.accumulator].itemsize * step.parts
    images = 1 if inner >= _LARGE_IMAGE else max(1, min(step.batch, COLUMN_BYTES // image_bytes))
    for first in range(0, step.batch, images):
        last = min(first + images, step.batch)
        for group in range(step.groups):
            alone = first if last - first == 1 else slice(first, last)
            with matrix_precision(step.precision):
                columns = cupy.matmul(factors[group].T, source[alone, group])
            goal = target[alone, group]
            direct = goal.flags.c_contiguous
            sums = goal if direct else cupy.empty(goal.shape, goal.dtype)
            products = cupy.ascontiguousarray(columns).reshape(-1).view(step.storage.accumulator)
            biases = () if bias is None else (bias.reshape(step.groups, -1)[group],)
            run_fold(_fold_step(step, last - first), products, *biases, sums.reshape(-1).view(out.dtype))
            if not direct:
                target[alone, group] = sums


def run_conv_transpose(step: ConvTransposeStep, x: Any, weight: Any, *rest: Any) -> None:
    """Compute a transposed convolution of contiguous arrays; `rest` is the bias, if there is one, and the output."""
    *biases, out = rest
    run = _run_by_product if by_product(step.direct) else _run_direct
    run(step, x, weight, biases[0] if biases else None, out)
