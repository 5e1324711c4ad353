"""Puts a kernel on a stream: the only place where the driver is called."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import addressof, c_uint64, c_void_p
from functools import cache
from importlib import import_module
from struct import Struct
from typing import Any

from numba import types

from gpu_upsample.cuda.compile import cubin_of
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.registry import KERNELS

_FORMATS = {"uint64": "Q", "int64": "q", "float64": "d", "float32": "f4x", "int32": "i4x", "uint32": "I4x"}
"""Type of a parameter -> how it is packed into eight bytes; an integer is cut to what it takes."""


def launch(
    spec: Any, device: int, stream: int, blocks: int, addresses: Sequence[int], arguments: tuple[Any, ...]
) -> None:
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
    addresses : sequence of int
        The kernel's first arguments: where its arrays lie.
    arguments : tuple
        Its other ones: pointers and sizes as int, reals as float or NumPy scalars. The same tuple is packed once.
    """
    _kernel(spec, device)(stream, blocks, addresses, arguments)


class _Room:
    """Where the arguments of a kernel are packed, and the addresses of each, as the driver takes them."""

    def __init__(self, parameters: int) -> None:
        self.arguments: tuple[Any, ...] | None = None  # those that are packed, behind the addresses of arrays
        self.packed: Any = (c_uint64 * parameters)()
        first = addressof(self.packed)
        self.addresses = (c_void_p * parameters)(*range(first, first + 8 * parameters, 8))
        self.at = addressof(self.addresses)


class _Kernel:
    """A kernel in the memory of a device."""

    def __init__(self, spec: Any, function: Any) -> None:
        parameters = KERNELS[type(spec)][1](spec).args
        self._function, self._handle, self._queue = function, int(function.ptr), _driver().launchKernel
        self._pack = Struct("".join(map(_format, parameters))).pack_into
        self._parameters, self._rooms = len(parameters), list[_Room]()

    def __call__(self, stream: int, blocks: int, addresses: Sequence[int], arguments: tuple[Any, ...]) -> None:
        try:
            room = self._rooms.pop()  # nobody else has it until it is back
        except IndexError:
            room = _Room(self._parameters)
        if room.arguments is arguments:
            room.packed[: len(addresses)] = addresses
        else:
            self._pack(room.packed, 0, *addresses, *arguments)
            room.arguments = arguments
        self._queue(self._handle, blocks, 1, 1, THREADS, 1, 1, 0, stream, room.at, 0)
        self._rooms.append(room)


def _format(parameter: Any) -> str:
    return "Q" if isinstance(parameter, types.CPointer) else _FORMATS[str(parameter)]


def _driver() -> Any:
    return import_module("cupy").cuda.driver


@cache
def _kernel(spec: Any, device: int) -> _Kernel:
    """Load a kernel into the device's primary context, which CuPy has made current."""
    return _Kernel(spec, _loaded(*cubin_of(spec, _capability(device))))


def _capability(device: int) -> tuple[int, int]:
    text = import_module("cupy").cuda.Device(device).compute_capability
    return int(text[:-1]), int(text[-1])


def _loaded(code: bytes, name: str) -> Any:
    """Return a kernel of some machine code, which it keeps loaded."""
    module = import_module("cupy").cuda.function.Module()
    module.load(code)
    return module.get_function(name)
