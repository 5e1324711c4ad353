"""Transposed convolution on the CPU: sums formed row by row, or in tiles of many channels and phases."""

from __future__ import annotations

from typing import Any

from gpu_upsample.cpu.combs import tile_cycles
from gpu_upsample.cpu.conv_transpose_rows import row_cycles, run_by_rows
from gpu_upsample.cpu.conv_transpose_tiles import run_by_tiles
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep


@kept
def takes_tiles(step: ConvTransposeStep) -> bool:
    """Return whether the sums are formed in tiles of many channels and phases, or row by row; the bits are the same."""
    return tile_cycles(step) < row_cycles(step)


def run_conv_transpose(step: ConvTransposeStep, x: Any, weight: Any, *rest: Any) -> None:
    """Compute a transposed convolution of flat arrays; `rest` is the bias, if there is one, and the output."""
    *biases, out = rest
    bias = biases[0] if biases else out[:0]
    run = run_by_tiles if takes_tiles(step) else run_by_rows
    run(step, x, weight, bias, out)
