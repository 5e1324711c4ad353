"""Runs the selections of a resampling plan on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import Room
from gpu_upsample.cpu.job import Job, lengths_of, lines_of, prepared
from gpu_upsample.cpu.select_kernels import select_kernel
from gpu_upsample.cpu.tables import MAX_REGISTERS, blocks_of, distinct
from gpu_upsample.cpu.vectors import BYTES
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.steps import SelectStep

_NONE = np.zeros(1, np.int64)


@kept
def _select_job(step: SelectStep) -> Job:
    word, inner = np.dtype(f"u{step.source.itemsize}"), step.shape[3]
    lanes = BYTES // word.itemsize
    planes, x, out = lines_of(step)
    x, out = x._replace(dtype=word), out._replace(dtype=word)
    across = step.columns is not None
    pixels, registers, stride = across and inner >= lanes, 0, lanes
    rows = _NONE if step.rows is None else np.ascontiguousarray(step.rows)
    columns = _NONE if step.columns is None else step.columns
    tables: tuple[Any, ...] = (columns * inner, _NONE, np.zeros(1, word), np.zeros(1, word))
    if across and not pixels:
        # A lane without a sample is put where the last one with a sample is.
        last = np.maximum.accumulate(np.where(columns < 0, 0, np.arange(len(columns))))
        blocks = blocks_of(np.maximum(columns[last], 0), inner, lanes, word.itemsize)
        registers, stride = blocks.registers, blocks.stride
        form, parts = distinct(blocks.index, (columns >= 0)[blocks.column].astype(word))
        tables = (blocks.base.ravel(), form, *parts)
    kernel = select_kernel(word.itemsize, int(across), int(pixels), registers, int(step.has_fill))
    fill = word.type(step.source.bits(step.fill))
    rooms = Room(word, (x.width + (MAX_REGISTERS + 2) * lanes,)), Room(word, (out.width + 3 * lanes,))
    arguments = (*lengths_of(planes, x, out), rows, *tables, stride, inner, fill, *rooms)
    return prepared(kernel, arguments, x, out, product_bytes=0)


def run_select(step: SelectStep, x: Any, out: Any) -> None:
    """Copy the selected samples of one step; both arrays are flat and of the step's carriers."""
    _select_job(step).run(x, out)
