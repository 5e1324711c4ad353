"""Which function runs each kind of step."""

from __future__ import annotations

from collections.abc import Callable

from gpu_upsample.cuda.conv_transpose import run_conv_transpose
from gpu_upsample.cuda.resample import run_filter, run_select
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.steps import FilterStep, SelectStep

RUN: dict[type, Callable[..., None]] = {
    ConvTransposeStep: run_conv_transpose,
    FilterStep: run_filter,
    SelectStep: run_select,
}
"""Kind of step -> the function that runs it on flat arrays: inputs, then outputs."""
