"""Runs shuffle, unfold and fold on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_upsample.arithmetic import kind_of
from gpu_upsample.cpu.arguments import Given, Room
from gpu_upsample.cpu.rearrange_kernels import UNROLLED, fold_kernel, shuffle_kernel, unfold_kernel
from gpu_upsample.cpu.work import Work, work
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.rearrange import FoldStep, ShuffleStep, UnfoldStep
from gpu_upsample.plan.windows import Reach, windows_inside


def _unrolled(number: int) -> int:
    return number if number <= UNROLLED else 0


@kept
def _shuffle_work(step: ShuffleStep) -> Work:
    kernel = shuffle_kernel(_unrolled(step.factor), step.words, int(step.enlarge))
    rows, width = step.planes * len(step.rows), step.width * step.words
    small = Given(f"u{step.itemsize}", (rows * step.factor, width))
    large = small._replace(shape=(rows, width * step.factor))
    sizes = step.factor, step.apart, len(step.rows) * step.factor
    return work(kernel, small, large, step.rows, *sizes, rows=rows)


def run_shuffle(step: ShuffleStep, x: Any, out: Any) -> None:
    """Move the pixels of one step; both arrays are flat."""
    small, large = (x, out) if step.enlarge else (out, x)
    _shuffle_work(step).run(small, large)


@kept
def _unfold_work(step: UnfoldStep) -> Work:
    kernel = unfold_kernel(_unrolled(step.stride), step.words)
    inside = np.stack(windows_inside(step.shift, step.stride, step.width, step.width_in), axis=-1)
    rows, word = step.planes * len(step.rows), f"u{step.itemsize}"
    x = Given(word, (step.planes * step.rows_in, step.width_in * step.words))
    out = Given(word, (rows, step.width * step.words))
    tables = step.rows, step.shift, inside
    return work(kernel, x, out, *tables, step.stride, step.rows_in, rows=rows)


def run_unfold(step: UnfoldStep, x: Any, out: Any) -> None:
    """Copy the samples of one step; both arrays are flat."""
    _unfold_work(step).run(x, out)


def _gathered(axis: Reach) -> tuple[Any, ...]:
    """Return an axis as the kernel reads it sample by sample."""
    return axis.window, axis.tap, axis.count, axis.n_windows, axis.kernel, axis.window_step, axis.tap_step


@kept
def _fold_work(step: FoldStep) -> Work:
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
    windows = step.planes * step.channels * step.taps, deep.n_windows * high.n_windows, wide.n_windows * step.parts
    rows, width = step.planes * step.channels * deep.n_out * high.n_out, wide.n_out * step.parts
    columns, out = Given(step.source.carrier, windows), Given(step.result.carrier, (rows, width))
    bias = Given(step.bias.carrier, (step.channels * step.parts,)) if step.bias else Given(step.source.carrier, (0,))
    return work(
        kernel, columns, bias, out, step.channels, _gathered(deep), _gathered(high), *row, real(0.0), real(1.0),
        Room(real, (width,)), rows=rows,
    )  # fmt: skip


def run_fold(step: FoldStep, columns: Any, *arrays: Any) -> None:
    """Add up the columns of one step; `arrays` are the bias, if there is one, and the output, all flat."""
    *biases, out = arrays
    _fold_work(step).run(columns, biases[0] if biases else out[:0], out)
