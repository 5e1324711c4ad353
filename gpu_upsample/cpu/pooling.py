"""Runs max pooling on the CPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Room
from gpu_upsample.cpu.launch import Launch
from gpu_upsample.cpu.pooling_kernels import pool_kernel
from gpu_upsample.cpu.vectors import BYTES
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.dtypes import Storage
from gpu_upsample.plan.pooling import PoolStep

# Windows along a row that lie up to so far apart get a kernel of their own, which reads all samples between.
_NEAR = 4


def lowest_bits(storage: Storage) -> Any:
    """Return what no sample is below, in the carrier of a scalar."""
    carrier = np.dtype(storage.carrier)
    if "float" in storage.name:
        return np.array(storage.bits(-np.inf), f"u{carrier.itemsize}").view(carrier)[()]
    return carrier.type(np.iinfo(carrier).min)


@kept
def _pool_launch(step: PoolStep, has_indices: bool) -> Launch:
    name, width, width_out = step.storage.name, step.size_in[2], step.size_out[2]
    half = name.endswith("float16")
    lanes = BYTES // (4 if half else step.storage.itemsize)
    apart = step.stride[2] if width_out > 1 else 1
    near = apart if apart <= _NEAR else 0
    if not near:
        lanes = min(lanes, 1 << (width_out - 1).bit_length())
    reach = [(kernel - 1) * dilation for kernel, dilation in zip(step.kernel, step.dilation, strict=True)]
    farthest = (reach[0] * step.size_in[1] + reach[1]) * width + reach[2]
    wide = farthest >= 2**31
    room = -(-width_out // lanes) * lanes * apart + reach[2]
    padding = step.padding[2]
    padded = padding > 0 or (width_out - 1) * apart + reach[2] >= width
    # The first tap of each window along a row that lies inside.
    begin = np.arange(-(-width_out // lanes) * lanes) * apart - padding
    start = np.where(begin < 0, -(begin // step.dilation[2]) * step.dilation[2], 0)
    offset = np.dtype(np.int64 if wide else np.int32)
    positions = 0 if not has_indices else 1 if step.numbering is None else 2
    kernel = pool_kernel(kind_of(name), int(half), lanes, step.kernel[2] if step.kernel[2]<=5 else 0, near, positions, int(wide))
    return Launch(
        kernel, step.size_in, step.size_out, step.kernel, (*step.stride[:2], apart), step.padding, step.dilation,
        step.numbering or (0, 0, 0, 0), start.astype(offset), lowest_bits(step.storage), room, padded,
        Room(step.storage.carrier, (max(room, padding + width),)), Room(step.storage.carrier, (width_out + lanes,)), Room(offset, (width_out + lanes,)),
    )  # fmt: skip


def run_pool(step: PoolStep, x: Any, out: Any, indices: Any = None) -> None:
    """Find the largest sample of every window; the arrays are flat and of the step's carriers."""
    where = np.empty(0, np.int64) if indices is None else indices
    where = where.reshape(-1, step.size_out[2])
    size = (x.nbytes + out.nbytes + where.nbytes) * prod(step.kernel)
    rows = out.size // step.size_out[2]
    _pool_launch(step, indices is not None).run((x, out, where), rows, size, least=8)
