"""What kind of array the caller holds, and how a result becomes one of the same kind.

An array is asked for its type; no library is ever imported to ask.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

_ACCEPTED = "a NumPy or CuPy array, a Numba device array, or an array with __cuda_array_interface__ or __dlpack__"
_DLPACK_CPU, _DLPACK_PINNED = 1, 3


class Operand(NamedTuple):
    """An array of any library, as the backends take it.

    Attributes
    ----------
    array : object
        A NumPy array, or the caller's object where the data lies on a device.
    shape : tuple of int
        Its shape.
    dtype : str
        Name of its dtype.
    on_device : bool
        Where the data lies.
    library : str
        Name of the library that the array comes from.
    give_back : callable
        Turns a result (a NumPy array, or a device array of the backend) of a dtype into the caller's kind.
    """

    array: Any
    shape: tuple[int, ...]
    dtype: str
    on_device: bool
    library: str
    give_back: Callable[[Any, str], Any]


def operand(name: str, x: Any) -> Operand:
    """Return `x` as an operand; `name` is what error messages call it.

    Raises
    ------
    TypeError
        If `x` is not an array of a supported kind.

    Examples
    --------
    >>> op = operand("x", np.zeros((2, 3), np.float16))
    >>> op.shape, op.dtype, op.on_device
    ((2, 3), 'float16', False)
    """
    if isinstance(x, np.ndarray) and (type(x) is np.ndarray or not hasattr(x, "__cuda_array_interface__")):
        return Operand(x, x.shape, _name(x.dtype), False, "numpy", _unchanged)
    library = _library(type(x).__module__)
    if library == "cupy":
        return Operand(x, x.shape, _name(x.dtype), True, library, _unchanged)
    if library == "torch" and hasattr(x, "detach"):
        return _torch(name, x)
    if hasattr(x, "__cuda_array_interface__"):
        return Operand(
            x, tuple(map(int, x.shape)), _name(np.dtype(x.dtype)), True, library, _DEVICE_KINDS.get(library, _unchanged)
        )
    if hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__"):
        return _dlpack(name, x, library)
    raise TypeError(f"{name} must be {_ACCEPTED}; got {type(x).__module__}.{type(x).__qualname__}")


@lru_cache(maxsize=64)
def _library(module: str) -> str:
    return module.partition(".")[0]


@lru_cache(maxsize=64)
def _name(dtype: np.dtype[Any]) -> str:
    return str(dtype.newbyteorder("="))


def _unchanged(result: Any, dtype: str) -> Any:
    return result


def _numba(result: Any, dtype: str) -> Any:
    return sys.modules["numba"].cuda.as_cuda_array(result)


_DEVICE_KINDS: dict[str, Callable[[Any, str], Any]] = {"numba": _numba}


def _torch(name: str, x: Any) -> Operand:
    torch = sys.modules["torch"]
    if x.requires_grad:
        raise TypeError(f"{name} requires a gradient, which this function does not record; pass {name}.detach()")
    if x.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got one of layout {x.layout}")
    if x.is_conj() or x.is_neg():
        raise TypeError(f"{name} is conjugated or negated lazily; pass {name}.resolve_conj().resolve_neg()")
    dtype = str(x.dtype).removeprefix("torch.")
    # Neither NumPy nor the device interface knows bfloat16: its bits travel as integers.
    bits = x.view(torch.int16) if dtype == "bfloat16" else x

    def give_back(result: Any, dtype: str) -> Any:
        take = torch.from_numpy if isinstance(result, np.ndarray) else torch.from_dlpack
        if dtype == "bfloat16":
            return take(result.view(np.int16)).view(torch.bfloat16)
        return take(result)

    if x.device.type not in ("cpu", "cuda"):
        raise TypeError(f"{name} must lie on a CPU or a CUDA device, got a torch tensor on {x.device}")
    array = bits if x.is_cuda else bits.numpy()
    return Operand(array, tuple(x.shape), dtype, x.is_cuda, "torch", give_back)


def _dlpack(name: str, x: Any, library: str) -> Operand:
    device, _ = x.__dlpack_device__()
    namespace = x.__array_namespace__() if hasattr(x, "__array_namespace__") else sys.modules.get(library)
    on_device = device not in (_DLPACK_CPU, _DLPACK_PINNED)
    array = x if on_device else np.from_dlpack(x)
    return Operand(
        array,
        tuple(map(int, x.shape)),
        str(array.dtype),
        on_device,
        library,
        lambda result, dtype: getattr(namespace, "from_dlpack", lambda same: same)(result),
    )
