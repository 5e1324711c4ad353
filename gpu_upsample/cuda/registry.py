"""Every CUDA kernel, in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu_upsample.cuda.conv_backward_kernels import ReductionSpec, build_reduction, reduction_signature
from gpu_upsample.cuda.conv_kernels import ConvTransposeSpec, build_conv_transpose, conv_transpose_signature
from gpu_upsample.cuda.filter_kernels import build_filter, filter_signature
from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.pooling_backward_kernels import (
    PoolBackwardSpec,
    UnpoolBackwardSpec,
    WindowsSpec,
    build_pool_backward,
    build_unpool_backward,
    build_windows,
    pool_backward_signature,
    unpool_backward_signature,
    windows_signature,
)
from gpu_upsample.cuda.pooling_kernels import PoolSpec, build_pool, pool_signature
from gpu_upsample.cuda.rearrange_kernels import (
    FoldSpec,
    ShuffleSpec,
    UnfoldSpec,
    build_fold,
    build_shuffle,
    build_unfold,
    fold_signature,
    shuffle_signature,
    unfold_signature,
)
from gpu_upsample.cuda.select_kernels import SelectSpec, build_select, select_signature
from gpu_upsample.cuda.unpooling_kernels import (
    FetchSpec,
    FillSpec,
    PlaceSpec,
    VoteSpec,
    build_fetch,
    build_fill,
    build_place,
    build_vote,
    fetch_signature,
    fill_signature,
    place_signature,
    vote_signature,
)

KERNELS: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    ConvTransposeSpec: (build_conv_transpose, conv_transpose_signature),
    FetchSpec: (build_fetch, fetch_signature),
    FillSpec: (build_fill, fill_signature),
    FilterSpec: (build_filter, filter_signature),
    FoldSpec: (build_fold, fold_signature),
    PlaceSpec: (build_place, place_signature),
    PoolBackwardSpec: (build_pool_backward, pool_backward_signature),
    PoolSpec: (build_pool, pool_signature),
    ReductionSpec: (build_reduction, reduction_signature),
    SelectSpec: (build_select, select_signature),
    ShuffleSpec: (build_shuffle, shuffle_signature),
    UnfoldSpec: (build_unfold, unfold_signature),
    UnpoolBackwardSpec: (build_unpool_backward, unpool_backward_signature),
    VoteSpec: (build_vote, vote_signature),
    WindowsSpec: (build_windows, windows_signature),
}
"""Kind of specialisation -> (builder, signature)."""
