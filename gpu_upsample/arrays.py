"""What kind of array the caller holds, and how a result becomes one of the same kind.

An array is asked for its type; no library is ever imported to ask.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

_ACCEPTED = "a NumPy, CuPy or Numba device array, a torch tensor, or one with __cuda_array_interface__ or __dlpack__"
_DLPACK_CPU, _DLPACK_PINNED = 1, 3


class Kind(NamedTuple):
    """What a call must know of an array, beside its memory; calls on arrays of equal kinds do the same.

    Attributes
    ----------
    shape : tuple of int
        Its shape.
    dtype : str
        Name of its dtype.
    on_device : bool
        Where the data lies.
    library : str
        Name of the library that the array comes from.
    take : callable
        Turns the caller's array into one that a backend knows: a NumPy array, or, where the data lies on a device, an
        object that says where.
    give_back : callable
        Turns a result (a NumPy array, or a device array of the backend) of a dtype into the caller's kind.
    make : callable, optional
        Returns a new array of a shape and dtype, like one that is given, in the memory of its library.
    writable : bool
        Whether a result may be put into it. Of a NumPy array, only the array itself tells.
    whole : bool, optional
        Of a NumPy or CuPy array, whether its items lie one after another in memory, as the machine would write them.
    """

    shape: tuple[int, ...]
    dtype: str
    on_device: bool
    library: str
    take: Callable[[Any], Any]
    give_back: Callable[[Any, str], Any]
    make: Callable[[Any, tuple[int, ...], str], Any] | None = None
    writable: bool = True
    whole: bool | None = None


def kind_of(name: str, x: Any, is_out: bool = False) -> Kind:
    """Return the kind of an array; `name` is what error messages call it, `is_out` says that it gets a result.

    Raises
    ------
    TypeError
        If `x` is not an array of a supported kind, or lies on a GPU in another byte order than the machine's.

    Examples
    --------
    >>> kind = kind_of("x", np.zeros((2, 3), np.float16))
    >>> kind.shape, kind.dtype, kind.on_device
    ((2, 3), 'float16', False)
    """
    if type(x) is np.ndarray:
        return _own("numpy", x.shape, x.dtype, x.flags.c_contiguous)
    library = _library(type(x).__module__)
    if library == "cupy":
        return _own("cupy", x.shape, x.dtype, x.flags.c_contiguous)
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array; pass {name}.filled(...) or {name}.data")
    if isinstance(x, np.ndarray) and not hasattr(x, "__cuda_array_interface__"):
        return _own("numpy", x.shape, x.dtype, x.flags.c_contiguous)
    if library == "torch" and hasattr(x, "detach"):
        return _torch(name, x)
    if hasattr(x, "__cuda_array_interface__"):
        return _on_device(x, library)
    if hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__"):
        return _dlpack(x, library)
    advice = _advice(name, x)
    if is_out:
        advice = ", or a tuple of arrays for several results" if isinstance(x, list | tuple) else ""
    raise TypeError(f"{name} must be {_ACCEPTED}{advice}; got {type(x).__module__}.{type(x).__qualname__}")


def _advice(name: str, x: Any) -> str:
    """Return what to pass instead of something that is no array but can be made one, as a part of a message."""
    numbers = isinstance(x, list | tuple | int | float | complex) or hasattr(x, "__array__")
    pil = sys.modules.get("PIL.Image")
    if pil is not None and isinstance(x, pil.Image):
        return f" (pass np.asarray({name}), or use gpu_upsample.compat.pillow, which takes images)"
    return f" (pass np.asarray({name}))" if numbers else ""


def own_kind(on_device: bool, x: Any, dtype: str) -> Kind:
    """Return the kind of the NumPy or CuPy array that was made of one of another library, of a dtype of that name."""
    return _own("cupy" if on_device else "numpy", x.shape, x.dtype, x.flags.c_contiguous, dtype)


@lru_cache(maxsize=512)
def _own(
    library: str, shape: tuple[int, ...], dtype: np.dtype[Any], is_contiguous: bool, name: str | None = None
) -> Kind:
    on_device = library == "cupy"
    if on_device and not dtype.isnative:
        raise TypeError(f"arrays on a GPU must have the byte order of the machine, got dtype {dtype.str}")
    whole = is_contiguous and dtype.isnative
    return Kind(shape, name or _name(dtype), on_device, library, _same, _unchanged, whole=whole)


@lru_cache(maxsize=64)
def _library(module: str) -> str:
    return module.partition(".")[0]


@lru_cache(maxsize=64)
def _name(dtype: np.dtype[Any]) -> str:
    return str(dtype if dtype.isnative else dtype.newbyteorder("="))  # some of NumPy's have no byte order


def _same(x: Any) -> Any:
    return x


def _unchanged(result: Any, dtype: str) -> Any:
    return result


def _numba(result: Any, dtype: str) -> Any:
    return sys.modules["numba"].cuda.as_cuda_array(result)


def _on_device(x: Any, library: str) -> Kind:
    interface = x.__cuda_array_interface__
    try:
        dtype = np.dtype(x.dtype)
    except (AttributeError, TypeError):  # it has a type of its own, or does not tell
        dtype = np.dtype(interface["typestr"])
    give_back: Callable[[Any, str], Any] = _numba if library == "numba" else _unchanged
    if hasattr(x, "__array_namespace__"):
        give_back = _Namespace(x.__array_namespace__())
    _, read_only = interface["data"]
    shape = tuple(map(int, interface["shape"]))
    return Kind(shape, _name(dtype), True, library, _same, give_back, writable=not read_only)


def _torch(name: str, x: Any) -> Kind:
    torch = sys.modules["torch"]
    if x.requires_grad and torch.is_grad_enabled():
        raise TypeError(
            f"{name} requires a gradient, which this function does not record; pass {name}.detach(), call it under "
            "torch.no_grad(), or use gpu_upsample.compat.torch"
        )
    if x.layout != torch.strided or x.is_nested:
        raise TypeError(f"{name} must be a dense tensor, got {'a nested one' if x.is_nested else x.layout}")
    if x.is_conj() or x.is_neg():
        raise TypeError(f"{name} is conjugated or negated lazily; pass {name}.resolve_conj().resolve_neg()")
    if x.device.type not in ("cpu", "cuda"):
        raise TypeError(f"{name} must lie on a CPU or a CUDA device, got a torch tensor on {x.device}")
    dtype = str(x.dtype).removeprefix("torch.")
    # On a GPU, torch keeps memory of its own; on a CPU, NumPy's is faster when new, since it asks for large pages.
    make = _new_tensor if x.is_cuda else None
    return Kind(tuple(x.shape), dtype, x.is_cuda, "torch", _from_torch, _to_torch, make)


def _from_torch(x: Any) -> Any:
    torch = sys.modules["torch"]
    # Neither NumPy nor the device interface knows bfloat16: its bits travel as integers.
    x = x.detach() if x.requires_grad else x
    bits = x.view(torch.int16) if x.dtype == torch.bfloat16 else x
    return bits if x.is_cuda else bits.numpy()


def _new_tensor(like: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return like.new_empty(shape, dtype=getattr(sys.modules["torch"], dtype))


def _to_torch(result: Any, dtype: str) -> Any:
    torch = sys.modules["torch"]
    take = torch.from_numpy if isinstance(result, np.ndarray) else torch.from_dlpack
    if dtype == "bfloat16":
        return take(result.view(np.int16)).view(torch.bfloat16)
    return take(result)


def _dlpack(x: Any, library: str) -> Kind:
    device, _ = x.__dlpack_device__()
    namespace = x.__array_namespace__() if hasattr(x, "__array_namespace__") else sys.modules.get(library)
    on_device = device not in (_DLPACK_CPU, _DLPACK_PINNED)
    try:
        dtype = str(np.dtype(x.dtype))
    except (AttributeError, TypeError):  # it has a type of its own, or does not tell
        dtype = str((x if on_device else np.from_dlpack(x)).dtype)
    # NumPy has no bfloat16 of its own, so that it cannot be exchanged by DLPack.
    take = _same if on_device else np.asarray if dtype == "bfloat16" else np.from_dlpack
    return Kind(tuple(map(int, x.shape)), dtype, on_device, library, take, _Namespace(namespace))


class _Namespace:
    """Gives results back to a library; equal for the same one, since it is part of a kind, which is compared."""

    def __init__(self, namespace: Any) -> None:
        self._namespace = namespace

    def __call__(self, result: Any, dtype: str) -> Any:
        exchange = "asarray" if dtype == "bfloat16" and isinstance(result, np.ndarray) else "from_dlpack"
        return getattr(self._namespace, exchange, _same)(result)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Namespace) and other._namespace is self._namespace

    def __hash__(self) -> int:
        return id(self._namespace)
