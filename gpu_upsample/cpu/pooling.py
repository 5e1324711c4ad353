"""Runs max pooling on the CPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Given, Room
from gpu_upsample.cpu.pooling_kernels import pool_kernel
from gpu_upsample.cpu.vectors import BYTES
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.dtypes import Storage
from gpu_upsample.plan.pooling import PoolStep

# Windows along a row of so many taps, and at such strides, get a kernel of their own.
_KERNELS, _STRIDES = (2, 3), (1, 2)
# Windows of a vector at other strides: in rows of up to 8 windows, and in longer ones.
_FEW, _MORE = 4, 16
# So far apart, samples of a window do not tell their distance in 32 bits.
_FAR = 1 << 31


def lowest_bits(storage: Storage) -> Any:
    """Return what no sample is below, in the carrier of a scalar."""
    carrier = np.dtype(storage.carrier)
    if "float" in storage.name:
        return np.array(storage.bits(-np.inf), f"u{carrier.itemsize}").view(carrier)[()]
    return carrier.type(np.iinfo(carrier).min)


@kept
def _pool_work(step: PoolStep, has_indices: bool) -> Work:
    storage, width, width_out = step.storage, step.size_in[2], step.size_out[2]
    half = storage.name.endswith("float16")
    padding, dilation = step.padding[2], step.dilation[2]
    taps = min(step.kernel[2], (width - 1 + padding) // dilation + 1)  # no window sees a sample by those behind
    # A single window of a row is as good as windows side by side, which are read together.
    apart = step.stride[2] if width_out > 1 else 1
    near = apart if apart in _STRIDES else 0
    lanes = BYTES // np.dtype(storage.accumulator if half else storage.carrier).itemsize
    if not near:
        lanes = _FEW if width_out <= 2 * _FEW else min(lanes, _MORE)
    whole = -(-width_out // lanes) * lanes
    kernel_size = (*step.kernel[:2], taps)
    deep, high, reach = ((size - 1) * gap for size, gap in zip(kernel_size, step.dilation, strict=True))
    # How far the last sample of a window may lie from the first.
    farthest = (deep * step.size_in[1] + high) * width + reach
    distance = np.dtype(np.int32 if farthest < _FAR else np.int64)
    # The first tap of each window along a row that lies inside.
    begin = np.arange(whole) * apart - padding
    start = np.where(begin < 0, -(begin // dilation) * dilation, 0).astype(distance)
    read = whole * apart + reach if near else 0
    padded = padding > 0 or (width_out - 1) * apart + reach >= width
    kernel = pool_kernel(
        kind_of(storage.name), int(half), lanes, taps if taps in _KERNELS else 0, near,
        0 if not has_indices else 1 if step.numbering is None else 2, int(distance.itemsize == 8),
    )  # fmt: skip
    line, best = (Room(storage.carrier, (size,)) for size in (max(read, padding + width) if near else 0, whole))
    rows = step.planes * prod(step.size_out[:2])
    x = Given(storage.carrier, (step.planes * prod(step.size_in),))
    out, places = Given(storage.carrier, (rows * width_out,)), Given(np.int64, (rows if has_indices else 0, width_out))
    compared = out.nbytes * prod(step.kernel)
    return work(
        kernel, x, out, places, step.size_in, step.size_out, kernel_size, (*step.stride[:2], apart), step.padding,
        step.dilation, step.numbering or (0, 0, 0, 0), start, lowest_bits(storage), read, padded, line, best,
        Room(distance, (whole,)),
        rows=rows, cost=max(x.nbytes + out.nbytes + places.nbytes, compared // 2),
    )  # fmt: skip


def run_pool(step: PoolStep, x: Any, out: Any, *indices: Any) -> None:
    """Find the largest sample of every window; all arrays are flat."""
    _pool_work(step, bool(indices)).run(x, out, *indices)
