"""Puts a kernel on a stream: the only place where the driver is called."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from gpu_upsample.cuda.compile import cubin_of
from gpu_upsample.cuda.kernels import THREADS


def launch(spec: Any, device: int, stream: int, blocks: int, arguments: tuple[Any, ...]) -> None:
    """Queue a kernel.

    Parameters
    ----------
    spec : object
        A specialisation of one of `registry.KERNELS`.
    device : int
        Ordinal of the device that holds the arrays.
    stream : int
        Handle of the stream.
    blocks : int
        Number of blocks.
    arguments : tuple
        The kernel's arguments: pointers and sizes as int (8 bytes each), reals as NumPy scalars.
    """
    from cuda.core import LaunchConfig
    from cuda.core import launch as queue

    queue(_stream(stream), LaunchConfig(grid=blocks, block=THREADS), _kernel(spec, device), *arguments)


@cache
def _kernel(spec: Any, device: int) -> Any:
    """Load a kernel into the device's primary context, which CuPy has made current."""
    from cuda.core import Device, ObjectCode

    code, name = cubin_of(spec, tuple(Device(device).compute_capability))
    return ObjectCode.from_cubin(code).get_kernel(name)


@lru_cache(maxsize=64)
def _stream(handle: int) -> Any:
    from cuda.core import Stream

    return Stream.from_handle(handle)
