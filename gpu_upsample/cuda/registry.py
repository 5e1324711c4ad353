"""Every CUDA kernel, in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu_upsample.cuda.conv_kernels import ConvTransposeSpec, build_conv_transpose, conv_transpose_signature
from gpu_upsample.cuda.kernels import (
    FilterSpec,
    SelectSpec,
    build_filter,
    build_select,
    filter_signature,
    select_signature,
)

KERNELS: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    ConvTransposeSpec: (build_conv_transpose, conv_transpose_signature),
    FilterSpec: (build_filter, filter_signature),
    SelectSpec: (build_select, select_signature),
}
"""Kind of specialisation -> (builder, signature)."""
