"""How far a result may lie from its float64 formula: one table, one rule.

A sum in the accumulator may be off by a few units in the last place of the largest sum of products behind any
output (a forward error bound). The result then has to be what the dtype's own rounding makes of some number
within that band: float16 and bfloat16 get half a unit in the last place more, integers are exact except near ties.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

# Width of the band, relative to the largest sum of products.
SINGLE, DOUBLE = 3 * 2.0**-23, 1e-14  # coordinates below 64 are themselves rounded by up to 2**-48

BANDS: dict[str, float] = {
    **dict.fromkeys(("bool", "uint8", "int8", "uint16", "int16", "float16", "bfloat16", "float32"), SINGLE),
    **dict.fromkeys(("uint32", "int32", "uint64", "int64", "float64"), DOUBLE),
    "complex64": SINGLE,
    "complex128": DOUBLE,
}

# Against torch in float64, which computes its coordinates and weights in another order.
TORCH = 1e-13

INTEGER_RANGES: dict[str, tuple[float, float]] = {
    "bool": (0.0, 1.0),
    **{name: (float(np.iinfo(name).min), float(np.iinfo(name).max)) for name in BANDS if "int" in name},
}


def rounded(value: NDArray[Any], dtype: str) -> NDArray[np.float64]:
    """Round float64 numbers to those that a real dtype holds: to nearest, ties to even, integers saturated."""
    if dtype in INTEGER_RANGES:
        return np.clip(np.rint(value), *INTEGER_RANGES[dtype])
    with np.errstate(over="ignore"):
        return value.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype).astype(np.float64)


def parts(x: NDArray[Any]) -> NDArray[Any]:
    """Return a complex array as pairs of real numbers."""
    return np.stack([x.real, x.imag], axis=-1) if x.dtype.kind == "c" else x


def assert_within(actual: NDArray[Any], expected: NDArray[Any], magnitude: float, dtype: str | None = None) -> None:
    """Assert that `actual` is its dtype's rounding of `expected`, give or take the band."""
    dtype = dtype or str(actual.dtype)
    assert actual.shape == expected.shape
    band = BANDS[dtype] * magnitude
    scalar = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    got, wanted = parts(actual).astype(np.float64), parts(expected)
    low, high = rounded(wanted - band, scalar), rounded(wanted + band, scalar)
    wrong = ~((low <= got) & (got <= high))
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0])
        error = np.abs(got - wanted).max() / (magnitude or 1)
        raise AssertionError(
            f"{wrong.sum()} of {wrong.size} values are off, first at {at}: {got[at]!r} instead of {wanted[at]!r}; "
            f"largest error {error:.3g} of {magnitude:.3g}, allowed {BANDS[dtype]:.3g}"
        )


def assert_same_bits(actual: NDArray[Any], expected: NDArray[Any]) -> None:
    """Assert equal shapes, dtypes and bits."""
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    word = f"V{actual.dtype.itemsize}"
    same = np.ascontiguousarray(actual).view(word) == np.ascontiguousarray(expected).view(word)
    assert same.all(), f"{(~same).sum()} of {same.size} values differ"
