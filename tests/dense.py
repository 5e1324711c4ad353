"""A resampling plan as matrix products in float64: thousands of plans are checked without compiling a kernel each.

That the backends compute what a plan says is for other tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.steps import FilterStep, Plan


def _along(x: NDArray[Any], taps: Any, axis: int) -> NDArray[Any]:
    return x if taps is None else np.moveaxis(np.tensordot(taps.matrix(), x, (1, axis)), 0, axis)


def dense(plan: Plan, x: NDArray[Any]) -> NDArray[Any]:
    """Return what a plan of sums and selections without a fill value makes of an array of real numbers."""
    values = x.astype(np.float64)
    for step in plan.steps:
        values = values.reshape(step.shape)
        if isinstance(step, FilterStep):
            values = _along(_along(values, step.columns, 2), step.rows, 1)
        else:
            values = values if step.rows is None else values[:, step.rows]
            values = values if step.columns is None else values[:, :, step.columns]
    return values.reshape(plan.outputs[0].shape)
