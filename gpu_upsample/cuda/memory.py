"""Device arrays, by CuPy: allocation, copies, streams, and the tables that kernels read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.plan.dtypes import Storage, scalars


def cupy() -> Any:
    """Return the CuPy module, imported when the first device array needs it."""
    import cupy

    return cupy


_HERE = nullcontext()
_captured: dict[int, Any] = {}


def is_capturing() -> bool:
    """Return whether what is queued becomes part of a CUDA graph."""
    return bool(cupy().cuda.get_current_stream().is_capturing())


def held(array: Any) -> Any:
    """Return an array of our own, or several, and keep them if a CUDA graph will use their addresses when launched."""
    if is_capturing():
        _captured[id(array)] = array
    return array


def as_array(x: Any) -> Any:
    """Return a CuPy array over the memory of `x`."""
    if isinstance(x, cupy().ndarray):
        return x
    if hasattr(x, "__cuda_array_interface__"):
        with _home_of(x):
            return cupy().asarray(x)
    return cupy().from_dlpack(x)


def _home_of(x: Any) -> AbstractContextManager[Any]:
    """Return the context of the device where an array lies: to any other one, CuPy would copy it."""
    address, _ = x.__cuda_array_interface__["data"]
    if device_count() == 1 or not address:
        return _HERE
    cuda = cupy().cuda
    context: AbstractContextManager[Any] = cuda.Device(cuda.runtime.pointerGetAttributes(address).device)
    return context


@lru_cache(maxsize=1)
def device_count() -> int:
    """Return how many devices there are."""
    return int(cupy().cuda.runtime.getDeviceCount())


@lru_cache
def multiprocessors(device: int) -> int:
    """Return how many multiprocessors a device has."""
    return int(cupy().cuda.runtime.getDeviceProperties(device)["multiProcessorCount"])


def placed(arrays: Sequence[Any], whole: Sequence[bool]) -> AbstractContextManager[Any]:
    """Return the context in which the device of some arrays is the current one.

    `whole` says for each whether its items lie one after another.

    Raises
    ------
    ValueError
        If they lie on different devices, or one where a GPU cannot read its items.
    """
    for array, is_whole in zip(arrays, whole, strict=True):
        size = array.itemsize
        if array.data.ptr % size or not (is_whole or all(stride % size == 0 for stride in array.strides)):
            place = f"{array.dtype} at {array.data.ptr:#x} with strides {array.strides}"
            raise ValueError(f"all items of an array must lie at multiples of their size; got {place}")
    if device_count() == 1:
        return _HERE
    devices = {array.device.id for array in arrays}
    if len(devices) > 1:
        raise ValueError(f"all arrays of a call must lie on one CUDA device; got {sorted(devices)}")
    context: AbstractContextManager[Any] = cupy().cuda.Device(*devices)
    return context


def from_host(x: Any) -> Any:
    """Copy a NumPy array to the current device; bfloat16, which CuPy may not know, as its bits."""
    native = x.astype(x.dtype.newbyteorder("="), copy=False)
    return cupy().asarray(native.view(np.uint16) if native.dtype.name == "bfloat16" else native)


def to_host(x: Any) -> Any:
    """Copy a device array to a NumPy array; waits for the stream."""
    return cupy().asnumpy(x)


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return a new array."""
    return held(cupy().empty(shape, dtype))


def words(x: Any, dtype: str, is_whole: bool = True) -> Any:
    """Return the scalars of `x`, of a dtype of that name, as a contiguous array of their carrier, of any shape.

    That is `x` itself if it is one: kernels take addresses, and making an array costs as much as all else. `is_whole`
    says whether its items lie one after another.
    """
    whole = x if is_whole else held(cupy().ascontiguousarray(x))
    carrier = _carrier(dtype)
    return whole if whole.dtype is carrier else whole.reshape(-1).view(carrier)


@lru_cache(maxsize=64)
def _carrier(dtype: str) -> np.dtype[Any]:
    return np.dtype(scalars(dtype)[0].carrier)


def scratch(shape: tuple[int, ...], storage: Storage) -> Any:
    """Return an uninitialised flat array for an intermediate result."""
    return held(cupy().empty(prod(shape), storage.carrier))


def copy(x: Any, out: Any) -> None:
    """Copy `x` to `out`, which has the same shape and dtype."""
    cupy().copyto(out, x)


def overlap(x: Any, x_is_whole: bool, out: Any, out_is_whole: bool) -> bool:
    """Say whether the address ranges of two arrays meet, whose items lie one after another, or do not."""
    (low, high), (start, stop) = _extent(x, x_is_whole), _extent(out, out_is_whole)
    return low < stop and start < high


def _extent(x: Any, is_whole: bool) -> tuple[int, int]:
    first = x.data.ptr
    if is_whole or x.size == 0:
        return first, first + x.nbytes
    reach = [(n - 1) * stride for n, stride in zip(x.shape, x.strides, strict=True)]
    return first + sum(r for r in reach if r < 0), first + sum(r for r in reach if r > 0) + x.itemsize


# Tables begin at multiples of so many bytes, as CUDA's allocations do.
_APART = 256


@dataclass(frozen=True, eq=False)
class Tables:
    """Tables on a device, that any stream may read."""

    arrays: tuple[Any, ...]

    @cached_property
    def addresses(self) -> tuple[int, ...]:
        """Where the tables lie."""
        return tuple(int(array.data.ptr) for array in self.arrays)


def upload(arrays: tuple[np.ndarray, ...]) -> Tables:
    """Copy tables to the current device, and wait until they are there.

    All at once: to allocate and to copy takes longer than the bytes do. On a stream of its own, not to wait for other
    work. So no kernel has to wait for them, which could not be captured in a CUDA graph.
    """
    ends = list(accumulate(-(-array.nbytes // _APART) * _APART for array in arrays))
    places = [slice(begin, begin + array.nbytes) for begin, array in zip([0, *ends], arrays, strict=False)]
    packed = np.empty(ends[-1], np.uint8)
    for place, array in zip(places, arrays, strict=True):
        packed[place] = array.ravel().view(np.uint8)
    cuda = cupy().cuda
    # Without CuPy's pool: freeing such memory waits for the device, so that dropping a table from a cache can
    # never take it away from a kernel that still runs on another stream.
    with cuda.using_allocator(None), cuda.Stream(non_blocking=True) as stream:
        copied = cupy().asarray(packed)
        stream.synchronize()
    return Tables(tuple(copied[place].view(array.dtype) for place, array in zip(places, arrays, strict=True)))


def upload_uint32(tables: Iterable[np.ndarray]) -> Tables:
    """Copy tables of integers to the current device as `upload` does, modulo 2**32."""
    return upload(tuple(table.astype(np.uint32) for table in tables))
