"""Gradients of the transposed convolution on the CPU.

That for the input is a convolution, formed as the forward is. Those for the weight and the bias are long sums.
"""

from __future__ import annotations

from typing import Any

from gpu_upsample.cpu.conv_transpose import run_conv_transpose
from gpu_upsample.cpu.reduction import run_reduction
from gpu_upsample.plan.conv_transpose_backward import ConvTransposeBackwardStep


def run_conv_transpose_backward(
    step: ConvTransposeBackwardStep, grad_output: Any, x: Any, weight: Any, *outputs: Any
) -> None:
    """Compute the gradients that are needed of flat arrays."""
    wanted = iter(outputs)
    grad_x, grad_weight, grad_bias = (next(wanted) if need else None for need in step.needs)
    if grad_x is not None:
        run_conv_transpose(step.adjoint, grad_output, weight, grad_x)
    if grad_weight is not None:
        run_reduction(step.weight, grad_output, x, grad_weight)
    if grad_bias is not None:
        run_reduction(step.bias, grad_output, x[:0], grad_bias)
