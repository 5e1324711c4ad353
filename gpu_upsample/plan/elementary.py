"""Functions that no standard fixes to the last bit: here, they have the same bits on every machine.

What NumPy and the C library make of a sine or of a power of e depends on their version and on the processor. Here are
additions, products and quotients of float64 alone, which IEEE 754 rounds correctly. So filters, and all results that
are weighed by them, do not depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import factorial, floor

import numpy as np

from gpu_upsample.plan.taps import Floats

_PI = Fraction("3.14159265358979323846264338327950288419716939937510582097494459")
_LN2 = Fraction("0.69314718055994530941723212145817656807550013436025525412068001")

# Terms of the Taylor series up to 2**-54 of their sum, within the ranges below; correctly rounded.
_SINC = [float((-1) ** k * _PI ** (2 * k) / factorial(2 * k + 1)) for k in range(12)]
_EXP = [float(Fraction(1, factorial(k))) for k in range(15)]

_LN2_HIGH = floor(_LN2 * 2**32) / 2**32  # a whole number of these is exact
_LN2_LOW = float(_LN2 - Fraction(_LN2_HIGH))


def horner(factors: Iterable[float | Floats], x: Floats) -> Floats:
    """Return the polynomial with these factors, that of the lowest power first.

    Examples
    --------
    >>> horner([1, 2, 3], np.array([0.0, 1.0, 2.0]))
    array([ 1.,  6., 17.])
    """
    highest, *lower = reversed(list(factors))
    value = np.full_like(x, highest)
    for factor in lower:
        value *= x
        value += factor
    return value


def sinc(x: Floats) -> Floats:
    """Return ``sin(pi * x) / (pi * x)``, within three units in the last place; exactly 0 at whole numbers but 0.

    Examples
    --------
    >>> sinc(np.array([0.0, 0.5, 1.0, -1.5]))
    array([ 1.        ,  0.63661977,  0.        , -0.21220659])
    """
    # With x = n + r, sin(pi * x) is sin(pi * r), up to its sign: so the sinc of r and a quotient are left.
    whole = np.rint(x)
    rest = x - whole
    sign = 1 - 2 * (whole % 2)
    quotient: Floats = np.divide(sign * rest, x, out=np.ones_like(x), where=whole != 0)
    return horner(_SINC, rest * rest) * quotient + 0.0  # no zero is negative


def exp(x: Floats) -> Floats:
    """Return e to the power of numbers that are not above 0, within a unit in the last place.

    Examples
    --------
    >>> exp(np.array([0.0, -1.0, -1000.0]))
    array([1.        , 0.36787944, 0.        ])
    """
    x = np.maximum(x, -800.0)  # zero, far below that
    halvings = np.rint(x / float(_LN2))
    rest = x - halvings * _LN2_HIGH - halvings * _LN2_LOW
    result: Floats = np.ldexp(horner(_EXP, rest), halvings.astype(np.int32))
    return result
