"""How each dtype is stored and in what its sums are formed: one table."""

from __future__ import annotations

from dataclasses import dataclass
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
        dtype in which weights are held and sums are formed, ``"float32"`` or ``"float64"``.
    """

    name: str
    carrier: str
    accumulator: str

    @property
    def itemsize(self) -> int:
        """Bytes of one scalar."""
        return np.dtype(self.carrier).itemsize

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
        exact = np.array(value if np.dtype(self.carrier).kind == "f" or self.name == "float16" else int(value))
        return int(exact.astype(self.name).view(f"u{self.itemsize}"))

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

PARTS = {"complex64": ("float32", 2), "complex128": ("float64", 2)}
"""Dtypes that are several scalars side by side, which every operator here treats alike."""


def scalars(dtype: Any) -> tuple[Storage, int]:
    """Return the scalar that arrays of `dtype` consist of, and how many of them make one element.

    Raises
    ------
    TypeError
        If the dtype is not supported.

    Examples
    --------
    >>> scalars(np.dtype("complex64"))
    (Storage(name='float32', carrier='float32', accumulator='float32'), 2)
    """
    name, parts = PARTS.get(str(dtype), (str(dtype), 1))
    if name not in STORAGE:
        raise TypeError(f"dtype {dtype} is not supported; supported are {', '.join([*STORAGE, *PARTS])}")
    return STORAGE[name], parts
