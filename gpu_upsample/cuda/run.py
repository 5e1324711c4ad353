"""From a kernel and its arguments to a launch on CuPy's current stream."""

from __future__ import annotations

from typing import Any

from gpu_upsample.cuda import launch, memory
from gpu_upsample.cuda.kernels import THREADS

NARROW = 2**32
"""Flat indices below this need 32 bits."""


def queue(
    spec: Any, threads: int, device: int, arguments: tuple[Any, ...], tables: memory.Tables | None = None
) -> None:
    """Queue a kernel for that many threads at least.

    Parameters
    ----------
    spec : Spec
        Which kernel.
    threads : int
        How many threads have something to do.
    device : int
        Where the arrays lie.
    arguments : tuple
        The parameters, arrays and tables as addresses.
    tables : Tables, optional
        The tables among them: a CUDA graph that is being captured keeps them.
    """
    stream = memory.cupy().cuda.get_current_stream()
    if tables is not None and stream.is_capturing():
        memory.held(tables)
    launch.launch(spec, device, int(stream.ptr), -(-threads // THREADS), arguments)
