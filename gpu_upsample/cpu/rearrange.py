"""Runs shuffle, unfold and fold on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Room
from gpu_upsample.cpu.launch import Launch
from gpu_upsample.cpu.rearrange_kernels import UNROLLED, fold_kernel, shuffle_kernel, unfold_kernel
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.rearrange import FoldStep, ShuffleStep, UnfoldStep
from gpu_upsample.plan.windows import Reach, windows_inside


def _unrolled(number: int) -> int:
    return number if number <= UNROLLED else 0


@kept
def _shuffle_launch(step: ShuffleStep) -> Launch:
    kernel = shuffle_kernel(_unrolled(step.factor), step.words, int(step.enlarge))
    return Launch(kernel, step.rows, step.factor, step.apart, len(step.rows) * step.factor)


def run_shuffle(step: ShuffleStep, x: Any, out: Any) -> None:
    """Move the pixels of one step; both arrays are flat."""
    bits = f"u{step.itemsize}"
    small, large = (x, out) if step.enlarge else (out, x)
    small = small.view(bits).reshape(-1, step.width * step.words)
    large = large.view(bits).reshape(-1, step.width * step.words * step.factor)
    _shuffle_launch(step).run((small, large), len(large), x.nbytes + out.nbytes, least=4)


@kept
def _unfold_launch(step: UnfoldStep) -> Launch:
    kernel = unfold_kernel(_unrolled(step.stride), step.words)
    inside = np.stack(windows_inside(step.shift, step.stride, step.width, step.width_in), axis=-1)
    return Launch(kernel, step.rows, step.shift, inside, step.stride, step.rows_in)


def run_unfold(step: UnfoldStep, x: Any, out: Any) -> None:
    """Copy the samples of one step; both arrays are flat."""
    bits = f"u{step.itemsize}"
    x = x.view(bits).reshape(-1, step.width_in * step.words)
    out = out.view(bits).reshape(-1, step.width * step.words)
    _unfold_launch(step).run((x, out), len(out), x.nbytes + out.nbytes, least=8)


def _gathered(axis: Reach) -> tuple[Any, ...]:
    """Return an axis as the kernel reads it sample by sample."""
    return axis.window, axis.tap, axis.count, axis.n_windows, axis.kernel, axis.window_step, axis.tap_step


@kept
def _fold_launch(step: FoldStep) -> Launch:
    deep, high, wide = step.axes
    real = np.dtype(step.result.accumulator).type
    kernel = fold_kernel(
        kind_of(step.source.name),
        kind_of(step.result.name),
        -1 if step.bias is None else kind_of(step.bias.name),
        _unrolled(wide.stride),
        step.parts,
    )
    shift = np.arange(wide.kernel) * wide.dilation - wide.padding
    # The last axis is read window by window.
    start = np.repeat(np.where(wide.count > 0, real(-0.0), real(0.0)), step.parts)
    row = (wide.stride, np.stack(windows_inside(shift, wide.stride, wide.n_windows, wide.n_out), axis=-1), shift, start)
    line = Room(real, (wide.n_out * step.parts,))
    return Launch(kernel, step.channels, _gathered(deep), _gathered(high), *row, real(0.0), real(1.0), line)


def run_fold(step: FoldStep, columns: Any, *arrays: Any) -> None:
    """Add up the columns of one step; `arrays` are the bias, if there is one, and the output, all flat."""
    *bias, out = arrays
    deep, high, wide = step.axes
    taps = step.planes * step.channels * step.taps
    columns = columns.reshape(taps, deep.n_windows * high.n_windows, wide.n_windows * step.parts)
    out = out.reshape(-1, wide.n_out * step.parts)
    held = bias[0] if bias else np.empty(0, step.source.carrier)
    _fold_launch(step).run((columns, held, out), len(out), columns.nbytes + out.nbytes, least=8)
