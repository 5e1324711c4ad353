"""From a step's arrays and tables to a launch on CuPy's current stream."""

from __future__ import annotations

from typing import Any

from gpu_upsample.cuda import launch, memory

NARROW = 2**32
"""Flat indices below this need 32 bits."""


def run_kernel(
    spec: Any,
    blocks: int,
    x: Any,
    out: Any,
    tables: memory.Tables,
    arguments: tuple[Any, ...],
) -> None:
    """Queue a kernel whose first two parameters are the input and the output.

    Parameters
    ----------
    spec : Spec
        Which kernel.
    blocks : int
        Number of blocks.
    x, out : array
        The arrays, flat.
    tables : Tables
        The tables that the kernel reads.
    arguments : tuple
        The other parameters.
    """
    stream = memory.cupy().cuda.get_current_stream()
    if stream.is_capturing():
        memory.held(tables)
    launch.launch(spec, x.device.id, stream.ptr, blocks, (x.data.ptr, out.data.ptr, *arguments))
