"""One table of operators, references and dtypes, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from tests import references
from tests.references import Expected

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
DTYPES = ("bool", *INTEGERS, *FLOATS, *COMPLEX)


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of that name."""
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def seldom(values: Sequence[Any], often: Container[Any]) -> list[Any]:
    """Return values of a parameter, of which only some are tried often: others are left to the thorough tests."""
    return [value if value in often else pytest.param(value, marks=pytest.mark.thorough) for value in values]


def noise(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> NDArray[Any]:
    """Return noise: normal for floats, the whole range for integers."""
    random = np.random.default_rng(seed)
    if dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        return random.integers(info.min, info.max, shape, dtype, endpoint=True)
    if dtype in COMPLEX:
        return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(dtype)
    return random.normal(size=shape).astype(dtype_of(dtype))


@dataclass(frozen=True)
class Case:
    """One way of calling an operator.

    Attributes
    ----------
    operator : str
        Name of the operator, a method of every backend.
    mode : str
        The mode of `interpolate`, or the method of `resize`.
    ranks : tuple of int
        Numbers of resized axes that it works for.
    options : dict
        Its other arguments.
    dtypes : tuple of str
        Dtypes that it works for.
    """

    operator: str
    mode: str
    ranks: tuple[int, ...] = (1, 2, 3)
    options: dict[str, Any] = field(default_factory=dict)
    dtypes: tuple[str, ...] = DTYPES

    @property
    def name(self) -> str:
        return "-".join([self.operator, self.mode, *(f"{k}={v}" for k, v in self.options.items())])

    @property
    def selects(self) -> bool:
        """Whether the operator copies samples instead of summing them."""
        return self.mode in ("nearest", "nearest-exact")

    def shape(self, spatial: tuple[int, ...], batch: int = 1, channels: int = 3) -> tuple[int, ...]:
        """Return the shape of an array with these spatial axes."""
        first = self.operator == "interpolate"
        return (batch, channels, *spatial) if first else (*spatial, channels)

    def arguments(self, size: tuple[int, ...]) -> dict[str, Any]:
        """Return the arguments that give the spatial axes this size."""
        if self.operator == "interpolate":
            return {"size": size, "mode": self.mode, **self.options}
        return {"size": size, "method": self.mode, "axes": tuple(range(len(size))), **self.options}

    def call(self, backend: Any, x: Any, size: tuple[int, ...]) -> Any:
        """Run the operator on a backend."""
        return getattr(backend, self.operator)(x, **self.arguments(size))

    def backward(self, backend: Any, grad: NDArray[Any], shape: tuple[int, ...], size: tuple[int, ...]) -> Any:
        """Run the gradient of the operator on a backend, for an input of that shape."""
        return getattr(backend, f"{self.operator}_backward")(grad, shape, **self.arguments(size))

    def expected(self, x: NDArray[Any], size: tuple[int, ...]) -> Expected:
        """Return what the sums have to give, in float64."""
        return getattr(references, self.operator)(x, **self.arguments(size))

    def selected(self, x: NDArray[Any], size: tuple[int, ...]) -> NDArray[Any]:
        """Return what a selection has to give."""
        maps = getattr(references, f"{self.operator}_maps")(x.shape, **self.arguments(size))
        return references.select(x, maps)


ALIGNED = {"align_corners": True}
SMOOTH = {"antialias": True}

# Splines differ from other long windows in their weights alone, which `test_formulas` and `test_compat_scipy` check.
FILTERS = [name for name in references.FILTERS if "spline" not in name]

CASES: tuple[Case, ...] = (
    Case("interpolate", "nearest"),
    Case("interpolate", "nearest-exact"),
    Case("interpolate", "area"),
    *(
        Case("interpolate", mode, ranks, options)
        for mode, ranks in {
            "linear": (1,),
            "bilinear": (2,),
            "trilinear": (3,),
            "cubic": (1,),
            "bicubic": (2,),
            "tricubic": (3,),
            "lanczos": (1, 2, 3),
        }.items()
        for options in ({}, ALIGNED, SMOOTH, ALIGNED | SMOOTH)
    ),
    *(Case("resize", "nearest", options={"nearest_rounding": r}) for r in references.ROUNDINGS),
    Case("resize", "area"),
    *(Case("resize", method, options=options) for method in FILTERS for options in ({}, SMOOTH)),
    *(Case("resize", "cubic", options={"cubic_coeff": -0.75, "border": b}) for b in references.BORDERS),
    *(Case("resize", "linear", options={"coordinates": c}) for c in references.COORDINATES),
)
"""Every operator in every mode."""
