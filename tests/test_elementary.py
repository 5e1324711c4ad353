"""Functions with the same bits on every machine, against exact sums of their series."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu_upsample.plan.elementary import exp, sinc

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


def exact_sinc(x: Decimal) -> Decimal:
    term = total = Decimal(1)
    for k in range(1, 60):
        term *= -((PI * x) ** 2) / (2 * k * (2 * k + 1))
        total += term
    return total


EXACT: dict[str, tuple[Any, Callable[[Decimal], Decimal], tuple[float, float], float]] = {
    "sinc": (sinc, exact_sinc, (-6.0, 6.0), 3.0),
    "sinc near zero": (sinc, exact_sinc, (-0.5, 0.5), 1.5),
    "exp": (exp, Decimal.exp, (-8.0, 0.0), 1.5),
    "exp far below zero": (exp, Decimal.exp, (-700.0, -8.0), 1.5),
}
"""Function, the same with many digits, a range, and the largest error there in units in the last place."""


@pytest.mark.parametrize(("function", "same", "limits", "units"), EXACT.values(), ids=EXACT)
def test_nearly_rounded(function: Any, same: Callable[[Decimal], Decimal], limits: Any, units: float) -> None:
    x = np.random.default_rng(0).uniform(*limits, 2000)
    x[::20] = np.rint(x[::20]) + 2.0**-30  # beside the zeros of a sinc
    with localcontext(prec=70):
        for place, value in zip(x.tolist(), function(x).tolist(), strict=True):
            exact = same(Decimal(place))
            error = abs(Decimal(value) - exact) / Decimal(float(np.spacing(abs(float(exact)))))
            assert float(error) <= units, place


def test_sinc_of_whole_numbers() -> None:
    whole = np.arange(-9.0, 10.0)
    assert np.array_equal(sinc(whole), whole == 0)
    assert np.array_equal(sinc(-whole / 8), sinc(whole / 8))


def test_powers_far_below_zero_vanish() -> None:
    assert exp(np.array([-746.0, -1e300, -np.inf])).tolist() == [0, 0, 0]


# Of these, NumPy's and the C library's last bit depends on the machine; a product of matrices adds in any order.
VAGUE = re.compile(
    r"\b(?:(?:np|math)\.|from (?:math|numpy) import [^\n]*\b)"
    r"(a?(sin|cos|tan)h?|arc\w+|sinc|exp|exp2|expm1|log(2|10|1p)?|pow|power|float_power|cbrt|hypot|fft|linalg|poly\w*"
    r"|dot|inner|matmul|tensordot|einsum|convolve|correlate|interp|longdouble)\b"
)
CALLS_ITS_LIBRARY = {"compat/opencv_axes.py", "compat/pillow_plan.py"}
"""Where such functions stand since the library that is followed calls them."""


def test_plans_call_nothing_vague() -> None:
    root = Path(__file__).parent.parent / "gpu_upsample"
    sources = [path for folder in ("plan", "compat") for path in (root / folder).rglob("*.py")]
    vague = {path.relative_to(root).as_posix() for path in sources if VAGUE.search(path.read_text())}
    assert vague == CALLS_ITS_LIBRARY
