"""The gradients of the resampling operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan

Integers = int | Sequence[int]
Numbers = float | Sequence[float]


@cached
def _plan_interpolate_backward(*call: Any) -> Plan:
    from gpu_upsample.plan.resample import plan_interpolate_backward

    return plan_interpolate_backward(*call)


@cached
def _plan_resize_backward(*call: Any) -> Plan:
    from gpu_upsample.plan.resample import plan_resize_backward

    return plan_resize_backward(*call)


def interpolate_backward(
    grad_output: Any,
    input_size: Sequence[int],
    size: Integers | None = None,
    scale_factor: Numbers | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    data_format: str = "channels_first",
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Return the gradient of `interpolate` with respect to its input.

    The transpose of the map: every input sample gathers from the outputs that it has a weight in. Nothing is
    scattered, so the same call gives the same bits on every run, number of threads and backend.

    Parameters
    ----------
    grad_output : array
        Gradient of the result, of its shape; float16, bfloat16, float32, float64 or complex. Sums are formed in
        float32 for the first three.
    input_size : sequence of int
        The whole shape of the input of `interpolate`.
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, data_format
        As they were given to `interpolate`.
    out, backend
        As in `interpolate`.

    Returns
    -------
    array, shape input_size
        Of the kind, dtype and place of `grad_output`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> interpolate_backward(np.ones((1, 1, 4)), (1, 1, 2), 4, mode="linear")
    array([[[2., 2.]]])
    >>> interpolate_backward(np.array([[[1.0, 2.0, 3.0, 4.0]]]), (1, 1, 2), 4)
    array([[[3., 7.]]])
    """
    arguments = (input_size, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, data_format)
    return apply(_plan_interpolate_backward, arguments, {"grad_output": grad_output}, out, backend)


def resize_backward(
    grad_output: Any,
    input_size: Sequence[int],
    size: Integers | None = None,
    scale: Numbers | None = None,
    *,
    axes: Integers | None = None,
    method: str | Sequence[str] = "linear",
    antialias: bool = False,
    coordinates: str = "half_pixel",
    nearest_rounding: str = "round_prefer_floor",
    cubic_coeff: float = -0.5,
    border: str = "clamp",
    box: Sequence[tuple[float, float]] | None = None,
    out: Any = None,
    backend: str | None = None,
) -> Any:
    """Return the gradient of `resize` with respect to its input.

    Parameters
    ----------
    grad_output : array
        Gradient of the result, of its shape; dtypes and sums as in `interpolate_backward`.
    input_size : sequence of int
        The whole shape of the input of `resize`.
    size, scale, axes, method, antialias, coordinates, nearest_rounding, cubic_coeff, border, box
        As they were given to `resize`. A surrounding constant has no gradient: there is no `fill_value`.
    out, backend
        As in `interpolate`.

    Returns
    -------
    array, shape input_size
        Of the kind, dtype and place of `grad_output`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> resize_backward(np.array([1.0, 0.0, 0.0, 0.0]), (2,), 4, border="extrapolate")
    array([ 1.25, -0.25])
    """
    arguments = (
        input_size, border, size, scale, axes, method, antialias, coordinates, nearest_rounding, cubic_coeff, box,
    )  # fmt: skip
    return apply(_plan_resize_backward, arguments, {"grad_output": grad_output}, out, backend)
