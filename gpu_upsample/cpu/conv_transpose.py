"""Transposed convolution on the CPU: sums formed row by row, in tiles, or of neighbouring channels together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu_upsample.cpu.combs import tile_cycles
from gpu_upsample.cpu.conv_transpose_channels import channel_cycles, run_by_channels
from gpu_upsample.cpu.conv_transpose_rows import row_cycles, run_by_rows
from gpu_upsample.cpu.conv_transpose_tiles import run_by_tiles
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.conv_transpose import ConvTransposeStep

WAYS = {run_by_tiles: tile_cycles, run_by_rows: row_cycles, run_by_channels: channel_cycles}
"""How the sums can be formed, and about how many cycles each way takes. The bits are the same, but for those of a NaN:
of two that are multiplied or added, a processor keeps either."""


@kept
def fastest_way(step: ConvTransposeStep) -> Callable[..., None]:
    """Return the way that takes the fewest cycles."""
    return min(WAYS, key=lambda way: WAYS[way](step))


def run_conv_transpose(step: ConvTransposeStep, x: Any, weight: Any, *rest: Any) -> None:
    """Compute a transposed convolution of flat arrays; `rest` is the bias, if there is one, and the output."""
    *biases, out = rest
    bias = biases[0] if biases else out[:0]
    if step.batch:
        fastest_way(step)(step, x, weight, bias, out)
