"""Runs shuffle, unfold and fold on the GPU."""

from __future__ import annotations

from itertools import chain
from math import gcd, prod
from typing import Any

import numpy as np

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.rearrange_kernels import FoldSpec, ShuffleSpec, UnfoldSpec
from gpu_upsample.cuda.run import ACCESS, NARROW, Launch, runner
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.rearrange import FoldStep, ShuffleStep, UnfoldStep

# The largest factor of a shuffle, and the most windows along a row that reach a sample of a fold, that are unrolled.
_MAX_FACTOR, _MAX_WINDOWS = 8, 4
# Words that a thread may keep in registers.
_MAX_REGISTERS = 32


def _lanes(most: int, width: int, itemsize: int, *addresses: int) -> tuple[int, int]:
    """Return how many neighbours of a row a thread owns, and how many of them it moves at once.

    The addresses, modulo `ACCESS`, are those of arrays with items of so many bytes.
    """
    lanes = gcd(most, width)
    return lanes, gcd(lanes, ACCESS // itemsize, *(address // itemsize for address in addresses))


def _wide(size_in: int, size_out: int, lanes: int) -> bool:
    """Say whether flat indices need 64 bits."""
    return max(size_in, size_out) + THREADS * lanes >= NARROW


# ---- shuffle ------------------------------------------------------------------------------------------------
@kept
def _shuffle_tables(step: ShuffleStep, device: int) -> memory.Tables:
    return memory.upload_uint32([step.rows])


def _most_lanes(factor: int, itemsize: int) -> int:
    """Return how many words of every small row a thread may hold: a vector, if the registers suffice."""
    kept = _MAX_REGISTERS // (factor * max(1, itemsize // 4))
    return min(ACCESS // itemsize, 1 << (kept.bit_length() - 1))


def _shuffle_launch(step: ShuffleStep, device: int, x: int, out: int) -> Launch:
    """Return the launch that moves the pixels of one step."""
    width, factor = step.width * step.words, step.factor if step.factor <= _MAX_FACTOR else 0
    lanes, access = step.words, 1
    if factor:
        lanes, access = _lanes(max(step.words, _most_lanes(factor, step.itemsize)), width, step.itemsize, x, out)
    rows, groups = step.planes * len(step.rows), width // lanes
    size = rows * step.factor * width
    wide = _wide(size, size, lanes * factor)
    spec = ShuffleSpec(step.itemsize, step.words, factor, step.enlarge, lanes, access, wide)
    sizes = (rows, groups, len(step.rows), len(step.rows) * step.factor, width, step.apart, step.factor)
    tables = _shuffle_tables(step, device)
    return Launch(spec, rows * groups, (*sizes, *tables.addresses), tables)


run_shuffle = runner(_shuffle_launch)


# ---- unfold -------------------------------------------------------------------------------------------------
@kept
def _unfold_tables(step: UnfoldStep, device: int) -> memory.Tables:
    return memory.upload_uint32([step.rows, step.shift])


def _unfold_launch(step: UnfoldStep, device: int, x: int, out: int) -> Launch:
    """Return the launch that copies the samples of one step."""
    width = step.width * step.words
    lanes, access = _lanes(4, width, step.itemsize, out)
    rows, groups = step.planes * len(step.rows), width // lanes
    wide = _wide(step.planes * step.rows_in * step.width_in * step.words, rows * width, lanes)
    spec = UnfoldSpec(step.itemsize, step.words, lanes, access, wide)
    sizes = (rows, groups, len(step.rows), step.rows_in, width, step.width_in, step.stride)
    tables = _unfold_tables(step, device)
    return Launch(spec, rows * groups, (*sizes, *tables.addresses), tables)


run_unfold = runner(_unfold_launch)


# ---- fold ---------------------------------------------------------------------------------------------------
@kept
def _fold_tables(step: FoldStep, device: int) -> memory.Tables:
    return memory.upload_uint32(table for axis in step.axes for table in (axis.window, axis.tap, axis.count))


def _fold_launch(step: FoldStep, device: int, columns: int, out: int, bias: int) -> Launch:
    """Return the launch that adds up the columns of one step."""
    deep, high, wide = step.axes
    width = wide.n_out * step.parts
    lanes, access = _lanes(ACCESS // np.dtype(step.result.accumulator).itemsize, width, step.result.itemsize, out)
    rows, groups = step.planes * step.channels * deep.n_out * high.n_out, width // lanes
    size_in = prod((step.planes, step.channels, step.taps, step.windows, step.parts))
    spec = FoldSpec(
        step.source.name, step.result.name, step.bias.name if step.bias else "", step.parts,
        wide.most if wide.most <= _MAX_WINDOWS else -1, lanes, access, _wide(size_in, prod(step.shape_out), lanes),
    )  # fmt: skip
    axes = ((axis.n_windows, axis.kernel, axis.window_step, axis.tap_step) for axis in step.axes)
    sizes = (rows, groups, step.channels, deep.n_out, high.n_out, width, *chain.from_iterable(axes))
    tables = _fold_tables(step, device)
    return Launch(spec, rows * groups, (*sizes, *tables.addresses), tables)


_launch_fold = runner(_fold_launch)


def run_fold(step: FoldStep, columns: Any, *arrays: Any) -> None:
    """Add up the columns of one step; `arrays` are the bias, if there is one, and the output, all contiguous."""
    *bias, out = arrays
    _launch_fold(step, columns, out, *(bias or [columns]))
