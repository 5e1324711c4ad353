"""What the dialects of JAX, Keras, TensorFlow and Paddle share: coordinates in float32, and results that are floats.

These libraries compute in float32 where an output lies. On a long axis that moves a sample by far more than the last
place of a result, so it is part of their numerics: the tables here start from coordinates as they round them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gpu_upsample.plan.dtypes import scalars
from gpu_upsample.plan.filters import FILTERS, Filter
from gpu_upsample.plan.steps import Index, Plan, conversion, plan_steps
from gpu_upsample.plan.taps import Floats, Reals, Taps, offsets, window_taps


def _flat_top(function: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    """Return a filter that is 1 within 0.001 of its centre, where its formula divides by nearly nothing."""
    return lambda d: np.where(np.abs(d) <= 1e-3, 1.0, function(d))


LANCZOS: dict[str, Filter] = {
    name: replace(FILTERS[name], function=_flat_top(FILTERS[name].function)) for name in ("lanczos3", "lanczos5")
}
"""The Lanczos filters as JAX and TensorFlow write them."""


def span_taps(centre: Reals, origin: float, stretch: float, kernel: Filter, n: int) -> Taps:
    """Return the taps of a filter that sees nothing beyond the axis, and is zero where it is centred outside.

    Parameters
    ----------
    centre : ndarray of float32 or float64, shape (n_out,)
        Where each output lies on the input axis; never decreasing.
    origin : float
        The coordinate of the first sample's centre.
    stretch : float
        Factor by which the filter is widened.
    kernel : Filter
        The filter. Its weights are divided by their sum.
    n : int
        Length of the input axis.

    Examples
    --------
    >>> span_taps(np.array([-0.25, 0.5, 2.0]), 0.0, 1.0, FILTERS["linear"], 2).matrix()
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 0. ]])
    """
    real: Any = centre.dtype.type
    reach = real(kernel.support * stretch)
    first = np.clip(np.ceil(centre - reach - real(origin)), 0, n - 1).astype(np.int64)
    last = np.clip(np.floor(centre + reach - real(origin)), 0, n - 1).astype(np.int64)
    index = first[:, None] + offsets(last + 1 - first)
    away = (index + origin - centre[:, None].astype(np.float64)).astype(real)
    distance: Floats = (away * (1 / real(stretch))).astype(np.float64)
    inside = (centre >= origin - 0.5) & (centre <= n + origin - 0.5)
    used = (index <= last[:, None]) & inside[:, None]
    weight = np.where(used, kernel.function(distance), 0.0)
    total = weight.sum(axis=1, keepdims=True)
    return window_taps(index, weight / np.where(total == 0, 1, total), used, n)


def plan_floats(shape: tuple[int, ...], dtype: str, result: str, maps: dict[int, Taps | Index]) -> Plan:
    """Plan weighted sums whose result is of a floating-point dtype, whatever the input's.

    Parameters
    ----------
    shape, dtype
        The input array's.
    result : str
        dtype of the result.
    maps : dict
        Per resized axis its taps.

    Examples
    --------
    >>> plan_floats((4,), "uint8", "float32", {}).outputs
    (Output(shape=(4,), dtype='float32'),)
    """
    plan = plan_steps(shape, result, maps)
    if dtype == result:
        return plan
    source, _ = scalars(dtype)
    # Where no axis is resized, a step without taps converts.
    first, *others = plan.steps or (conversion(shape, 1, source, scalars(result)[0]),)
    return replace(plan, steps=(replace(first, source=source), *others))
