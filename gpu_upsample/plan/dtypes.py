"""How each dtype is stored and in what its sums are formed: one table."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Storage:
    """One scalar type as the kernels see it.

    Attributes
    ----------
    name : str
        Name of the scalar; a complex array is stored as its real and imaginary parts.
    carrier : str
        NumPy dtype of the bits in memory: a kernel on float16 reads uint16 words and converts them.
    accumulator : str
        dtype in which weights are held and sums are formed: ``"float32"``, ``"float64"``, or an integer for weights
        in fixed point.
    fraction : int
        Bits behind the binary point of weights in fixed point, by which an integer sum is shifted right in the end.
    fused : bool
        Whether a product is added with one rounding, or rounded first.
    rounding : {"even", "away", "up", "down"}
        How a sum becomes an integer: to the nearest one, and from halfway between two to the even one, away from zero
        or up; or always down. Only sums of floating-point numbers know ``"away"``, only those of integers the last two.
    cut : int
        Bits that each product of an integer sum loses before it is added, rounded down.
    """

    name: str
    carrier: str
    accumulator: str
    fraction: int = 0
    fused: bool = True
    rounding: str = "even"
    cut: int = 0

    @property
    def itemsize(self) -> int:
        """Bytes of one scalar."""
        return np.dtype(self.carrier).itemsize

    @property
    def start(self) -> float:
        """What a sum starts at; to add the first fused product to -0.0 is to round it once."""
        if "int" in self.accumulator:
            return 1 << self.fraction >> 1 if self.rounding == "up" else 0
        return -0.0 if self.fused else 0.0

    def bits(self, value: float) -> int:
        """Return the bits of a number in this storage, as an unsigned integer.

        Examples
        --------
        >>> hex(STORAGE["float16"].bits(1.0)), hex(STORAGE["bfloat16"].bits(-2.0))
        ('0x3c00', '0xc000')
        """
        if self.name == "bfloat16":
            word = int(np.float32(value).view(np.uint32))
            return 0x7FC0 if np.isnan(value) else (word + 0x7FFF + (word >> 16 & 1)) >> 16
        number = np.dtype("float16" if self.name == "float16" else self.carrier)
        exact = np.array(value if number.kind == "f" else int(value))
        return int(exact.astype(number).view(f"u{self.itemsize}"))

    def rounded(self, value: float) -> float:
        """Return a number as the nearest one that a floating-point storage holds.

        Examples
        --------
        >>> STORAGE["float16"].rounded(0.1), STORAGE["bfloat16"].rounded(0.1)
        (0.0999755859375, 0.10009765625)
        """
        if self.name == "bfloat16":
            return float((np.array(self.bits(value), np.uint32) << 16).view(np.float32))
        return float(np.array(value).astype(self.name))


def _table() -> dict[str, Storage]:
    carriers = {"bool": "uint8", "float16": "uint16", "bfloat16": "uint16"}
    names = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
    names += ["float16", "bfloat16", "float32", "float64"]
    narrow = {"bool", "uint8", "int8", "uint16", "int16", "float16", "bfloat16", "float32"}
    return {n: Storage(n, carriers.get(n, n), "float32" if n in narrow else "float64") for n in names}


STORAGE: dict[str, Storage] = _table()
"""Scalar name -> storage."""

FOREIGN: dict[str, Storage] = {
    storage.name: storage
    for storage in (
        Storage("uint8 fixed", "uint8", "int32", fraction=22, rounding="up"),
        Storage("int32 fixed", "int32", "int32"),
        Storage("uint16 fixed", "uint16", "int64", fraction=32, rounding="up"),
        Storage("int16 fixed", "int16", "int64", fraction=32, rounding="up"),
        Storage("int64 fixed", "int64", "int64"),
        Storage("float32 double", "float32", "float64", fused=False),
        Storage("int32 double", "int32", "float64", fused=False, rounding="away"),
        Storage("uint16 double", "uint16", "float64", fused=False, rounding="away"),
        Storage("uint8 double", "uint8", "float64", fused=False, rounding="away"),
        Storage("int8 double", "int8", "float64", fused=False, rounding="away"),
        Storage("int16 double", "int16", "float64", fused=False, rounding="away"),
        Storage("uint32 double", "uint32", "float64", fused=False, rounding="away"),
        Storage("uint64 double", "uint64", "float64", fused=False, rounding="away"),
        Storage("int64 double", "int64", "float64", fused=False, rounding="away"),
        Storage("uint8 wide", "uint8", "int64", fraction=24, rounding="up"),
        Storage("int8 fixed", "int8", "int64", fraction=32, rounding="up"),
        Storage("int16 sixteenth", "int16", "int32", fraction=4, rounding="down"),
        Storage("uint8 truncated", "uint8", "int32", fraction=2, rounding="up", cut=16),
        Storage("uint8 plain", "uint8", "float32", fused=False),
        Storage("uint16 plain", "uint16", "float32", fused=False),
        Storage("int16 plain", "int16", "float32", fused=False),
        Storage("float32 plain", "float32", "float32", fused=False),
        Storage("float64 plain", "float64", "float64", fused=False),
        Storage("uint8 sixteenth", "uint8", "int16", fraction=4),
        Storage("int16 short", "int16", "int16"),
        Storage("uint8 short", "uint8", "int16", fraction=2, rounding="up", cut=16),
    )
}
"""Name -> storage whose sums are formed in another way: as another library does, for `gpu_upsample.compat`, or, the
last three, in short integers where these are exact."""

PARTS = {"complex64": ("float32", 2), "complex128": ("float64", 2)}
"""Dtypes that are several scalars side by side, which every operator here treats alike."""

DTYPES = (*STORAGE, *PARTS)
"""Names of all dtypes that arrays may have."""


@cache
def scalars(dtype: Any) -> tuple[Storage, int]:
    """Return the scalar that arrays of `dtype` consist of, and how many of them make one element.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> storage, parts = scalars(np.dtype("complex64"))
    >>> storage.name, storage.accumulator, parts
    ('float32', 'float32', 2)
    """
    name, parts = PARTS.get(str(dtype), (str(dtype), 1))
    if name not in STORAGE:
        raise TypeError(f"dtype {dtype} is not supported; supported are {', '.join(DTYPES)}")
    return STORAGE[name], parts


def words(storage: Storage, parts: int) -> tuple[int, int]:
    """Return an element of so many scalars as (bytes of a word, words): what only moves goes in words of up to 8 bytes.

    Examples
    --------
    >>> words(STORAGE["float16"], 1), words(STORAGE["float64"], 2)
    ((2, 1), (8, 2))
    """
    size = storage.itemsize * parts
    return min(size, 8), max(1, size // 8)


_FLOATING = (*(scalar for scalar in STORAGE if "float" in scalar), *PARTS)


def check_floating(name: str, dtype: str) -> None:
    """Refuse an array that holds no floating-point or complex numbers; `name` is what the message calls it."""
    if dtype not in _FLOATING:
        raise TypeError(f"{name} must have one of the dtypes {', '.join(_FLOATING)}; got {dtype}")


def as_floating(name: str, value: Any) -> np.dtype[Any]:
    """Return a dtype of floating-point or complex numbers, or say why it is none."""
    if isinstance(value, str) and value == "bfloat16":
        with suppress(ImportError):
            import ml_dtypes  # noqa: F401 - from then on NumPy knows the name
    try:
        dtype: np.dtype[Any] | None = None if value is None else np.dtype(value)
    except TypeError:
        dtype = None
    if dtype is None or str(dtype) not in _FLOATING:
        raise TypeError(f"{name} must be one of {', '.join(_FLOATING)}; got {value!r}")
    return dtype
