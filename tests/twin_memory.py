"""Device arrays over host memory, and a backend 'cuda' whose kernels run elsewhere.

`TwinArray` offers `__cuda_array_interface__` over host memory, `CUPY` stands for CuPy, and `installed` replaces the
lowest function of the backend, `launch.launch`, by one that takes a kernel's arguments as one tuple.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from weakref import WeakValueDictionary

import numpy as np
from numba import types

import gpu_upsample.cuda as backend
from gpu_upsample import dispatch
from gpu_upsample.cuda import flags, launch, memory

launched = []
"""The specialisations that ran since the list was last cleared."""

_by_address = {}  # what a call has asked for
_lasting = WeakValueDictionary()  # what calls before it have asked for, as long as it is there: tables


class _Address:
    def __init__(self, array):
        self._array = array

    @property
    def ptr(self):
        """The address; asking for it remembers which array lies there, with its exact bounds."""
        address = self._array.__array_interface__["data"][0]
        _by_address[address] = self._array
        return address


class TwinArray(np.ndarray):
    """An array that every test for a device array takes for one."""

    device = SimpleNamespace(id=0)
    __module__ = "cupy"

    @property
    def data(self):
        return _Address(self)

    @property
    def __cuda_array_interface__(self):
        return {**self.__array_interface__, "version": 3, "stream": 1}


class Foreign:
    """An array of another library: nothing but an interface, over a device array."""

    def __init__(self, array, read_only=False):
        self.__array_interface__ = array.__array_interface__  # CUPY.asarray reads this one
        address, _ = self.__array_interface__["data"]
        self.__cuda_array_interface__ = {**array.__array_interface__, "data": (address, read_only)}
        self._owner = array


def at_offset(x, items):
    """Return a copy of a NumPy array as a device array that begins so many items behind the place of a vector."""
    room = np.zeros(x.size * x.itemsize + 128, np.uint8)
    begin = -room.ctypes.data % 64 + items * x.itemsize
    placed = room[begin : begin + x.nbytes].view(x.dtype).reshape(x.shape)
    placed[...] = x
    return placed.view(TwinArray)


def to_twin(x):
    """Return a copy of a NumPy array, with its strides, as a device array."""
    copied = np.empty_like(np.lib.stride_tricks.as_strided(x, x.shape, x.strides), subok=False)
    np.copyto(copied, x)
    return copied.view(TwinArray)


_STREAM = SimpleNamespace(ptr=1, is_capturing=lambda: False, synchronize=lambda: None)


@contextmanager
def _using_allocator(allocator):
    yield


@contextmanager
def _stream(non_blocking):
    yield _STREAM


@contextmanager
def _device(number):
    yield SimpleNamespace(synchronize=lambda: None)


CUPY = SimpleNamespace(
    ndarray=TwinArray,
    asarray=lambda x: np.asarray(x).view(TwinArray),
    asnumpy=lambda x: np.array(np.asarray(x), subok=False),
    ascontiguousarray=lambda x: np.ascontiguousarray(x).view(TwinArray),
    empty=lambda shape, dtype: np.empty(shape, dtype).view(TwinArray),
    copyto=np.copyto,
    matmul=lambda a, b: np.matmul(np.asarray(a), np.asarray(b)).view(TwinArray),
    _core=SimpleNamespace(
        _routines_linalg=SimpleNamespace(
            COMPUTE_TYPE_FP32=4,
            COMPUTE_TYPE_TF32=7,
            get_compute_type=lambda dtype: 1,
            set_compute_type=lambda dtype, number: None,
        )
    ),
    cuda=SimpleNamespace(
        runtime=SimpleNamespace(
            getDeviceCount=lambda: 1,
            getDeviceProperties=lambda device: {"multiProcessorCount": 132},
            pointerGetAttributes=lambda address: SimpleNamespace(device=0),
        ),
        get_current_stream=lambda: _STREAM,
        using_allocator=_using_allocator,
        Device=_device,
        Stream=_stream,
    ),
)


def array_at(address):
    """Return the array at an address that a call has asked for."""
    return np.asarray(_by_address[address] if address in _by_address else _lasting[address])


def typed_arguments(signature, arguments):
    """Return what a launch was given as arrays, where it is an address, and as scalars of the declared types."""
    typed = []
    for kind, value in zip(signature.args, arguments, strict=True):
        if isinstance(kind, types.CPointer):
            typed.append(array_at(value).reshape(-1).view(str(kind.dtype)))
        else:
            typed.append(np.dtype(str(kind)).type(value))
    return typed


@contextmanager
def installed(run):
    """Serve backend 'cuda' by `run`, of a kernel's arguments in one tuple, in the place of `launch.launch`."""

    def launched(spec, device, stream, blocks, addresses, arguments):
        run(spec, device, stream, blocks, (*addresses, *arguments))

    saved = launch.launch, memory.cupy, backend.require
    launch.launch, memory.cupy, backend.require = launched, lambda: CUPY, lambda: None
    dispatch.load.cache_clear()
    try:
        yield
    finally:
        launch.launch, memory.cupy, backend.require = saved
        dispatch.load.cache_clear()
        flags._flags.clear()  # this memory is no device's
        _lasting.update(_by_address)
        _by_address.clear()
