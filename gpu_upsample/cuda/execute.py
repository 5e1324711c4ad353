"""Which function runs each kind of step."""

from __future__ import annotations

from collections.abc import Callable

from gpu_upsample.cuda.conv_transpose import run_conv_transpose
from gpu_upsample.cuda.conv_transpose_backward import run_conv_transpose_backward
from gpu_upsample.cuda.filter import run_filter
from gpu_upsample.cuda.pooling import run_pool
from gpu_upsample.cuda.pooling_backward import run_pool_backward, run_unpool_backward
from gpu_upsample.cuda.rearrange import run_fold, run_shuffle, run_unfold
from gpu_upsample.cuda.select import run_select
from gpu_upsample.cuda.unpooling import run_unpool
from gpu_upsample.cuda.volumes import VolumeStep
from gpu_upsample.plan.conv_transpose import ConvTransposeStep
from gpu_upsample.plan.conv_transpose_backward import ConvTransposeBackwardStep
from gpu_upsample.plan.pooling import PoolStep, UnpoolStep
from gpu_upsample.plan.pooling_backward import PoolBackwardStep, UnpoolBackwardStep
from gpu_upsample.plan.rearrange import FoldStep, ShuffleStep, UnfoldStep
from gpu_upsample.plan.steps import FilterStep, SelectStep

RUN: dict[type, Callable[..., None]] = {
    ConvTransposeBackwardStep: run_conv_transpose_backward,
    ConvTransposeStep: run_conv_transpose,
    FilterStep: run_filter,
    PoolBackwardStep: run_pool_backward,
    PoolStep: run_pool,
    FoldStep: run_fold,
    SelectStep: run_select,
    ShuffleStep: run_shuffle,
    UnfoldStep: run_unfold,
    UnpoolBackwardStep: run_unpool_backward,
    UnpoolStep: run_unpool,
    VolumeStep: run_filter,
}
"""Kind of step -> the function that runs it on flat arrays: inputs, then outputs."""
