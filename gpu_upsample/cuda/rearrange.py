"""Runs shuffle, unfold and fold on the GPU."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.rearrange_kernels import FoldSpec, ShuffleSpec, UnfoldSpec
from gpu_upsample.cuda.run import NARROW, queue
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.rearrange import FoldStep, ShuffleStep, UnfoldStep
from gpu_upsample.plan.windows import Reach

# Factors and pairs up to these are unrolled.
_FACTORS, _TAPS = 8, 4
# Words that a thread may keep in registers.
_REGISTERS = 32
# The widest load or store, in bytes.
_VECTOR = 16


def _lanes(most: int, width: int, arrays: tuple[Any, ...]) -> tuple[int, int]:
    """Return how many neighbours of a row a thread owns, and how many of them it moves at once."""
    lanes = access = gcd(most, width)
    for array in arrays:
        access = gcd(access, int(array.data.ptr) // array.itemsize, _VECTOR // array.itemsize)
    return lanes, access


def _wide(x: Any, out: Any, lanes: int) -> bool:
    """Say whether flat indices need 64 bits."""
    return bool(max(x.size, out.size) + THREADS * lanes >= NARROW)


# ---- shuffle ------------------------------------------------------------------------------------------------
@kept
def _shuffle_tables(step: ShuffleStep, device: int) -> memory.Tables:
    return memory.upload((step.rows.astype(np.uint32),))


def _most_lanes(factor: int, itemsize: int) -> int:
    """Return how many words of every small row a thread may hold: a vector, if the registers suffice."""
    kept = _REGISTERS // (factor * max(1, itemsize // 4))
    return min(_VECTOR // itemsize, 1 << (kept.bit_length() - 1))


def run_shuffle(step: ShuffleStep, x: Any, out: Any) -> None:
    """Move the pixels of one step; both arrays are contiguous."""
    bits = f"u{step.itemsize}"
    x, out = x.view(bits), out.view(bits)
    width, factor = step.width * step.words, step.factor if step.factor <= _FACTORS else 0
    lanes, access = step.words, 1
    if factor:
        lanes, access = _lanes(max(step.words, _most_lanes(factor, step.itemsize)), width, (x, out))
    rows, groups = step.planes * len(step.rows), width // lanes
    spec = ShuffleSpec(step.itemsize, step.words, factor, step.enlarge, lanes, access, _wide(x, out, lanes * factor))
    sizes = (rows, groups, len(step.rows), len(step.rows) * step.factor, width, step.apart, step.factor)
    tables = _shuffle_tables(step, x.device.id)
    arguments = (int(x.data.ptr), int(out.data.ptr), *sizes, *tables.addresses)
    queue(spec, rows * groups, x.device.id, arguments, tables)


# ---- unfold -------------------------------------------------------------------------------------------------
@kept
def _unfold_tables(step: UnfoldStep, device: int) -> memory.Tables:
    return memory.upload((step.rows.astype(np.uint32), step.shift.astype(np.uint32)))  # modulo 2**32


def run_unfold(step: UnfoldStep, x: Any, out: Any) -> None:
    """Copy the samples of one step; both arrays are contiguous."""
    bits = f"u{step.itemsize}"
    x, out = x.view(bits), out.view(bits)
    width = step.width * step.words
    lanes, access = _lanes(4, width, (out,))
    rows, groups = step.planes * len(step.rows), width // lanes
    spec = UnfoldSpec(step.itemsize, step.words, lanes, access, _wide(x, out, lanes))
    sizes = (rows, groups, len(step.rows), step.rows_in, width, step.width_in, step.stride)
    tables = _unfold_tables(step, x.device.id)
    arguments = (int(x.data.ptr), int(out.data.ptr), *sizes, *tables.addresses)
    queue(spec, rows * groups, x.device.id, arguments, tables)


# ---- fold ---------------------------------------------------------------------------------------------------
@kept
def _fold_tables(step: FoldStep, device: int) -> memory.Tables:
    tables = [table for axis in step.axes for table in (axis.window, axis.tap, axis.count)]
    return memory.upload(tuple(table.astype(np.uint32) for table in tables))


def _axis(axis: Reach, table: tuple[int, ...]) -> tuple[int, ...]:
    return (*table, axis.n_windows, axis.kernel, axis.window_step, axis.tap_step)


def run_fold(step: FoldStep, columns: Any, *arrays: Any) -> None:
    """Add up the columns of one step; `arrays` are the bias, if there is one, and the output, all contiguous."""
    *bias, out = arrays
    deep, high, wide = step.axes
    width = wide.n_out * step.parts
    lanes, access = _lanes(16 // np.dtype(step.result.accumulator).itemsize, width, (out,))
    rows, groups = step.planes * step.channels * deep.n_out * high.n_out, width // lanes
    spec = FoldSpec(
        step.source.name, step.result.name, step.bias.name if step.bias else "", step.parts,
        wide.most if wide.most <= _TAPS else -1, lanes, access, _wide(columns, out, lanes),
    )  # fmt: skip
    pointers = (int(array.data.ptr) for array in (columns, out, bias[0] if bias else columns))
    sizes = (rows, groups, step.channels, deep.n_out, high.n_out, width)
    tables = _fold_tables(step, columns.device.id)
    axes = (_axis(axis, tables.addresses[3 * i : 3 * i + 3]) for i, axis in enumerate(step.axes))
    arguments = (*pointers, *sizes, *(part for axis in axes for part in axis))
    queue(spec, rows * groups, columns.device.id, arguments, tables)
