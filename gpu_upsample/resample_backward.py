"""The gradients of the resampling operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.typing import (
    Array,
    Backend,
    Border,
    Box,
    Coordinates,
    DataFormat,
    Integers,
    Method,
    Mode,
    Numbers,
    Rounding,
    Shape,
)

if TYPE_CHECKING:
    from gpu_upsample.plan.steps import Plan


@cached
def _plan_interpolate_backward(*call: Any) -> Plan:
    from gpu_upsample.plan.resample import plan_interpolate_backward

    return plan_interpolate_backward(*call)


@cached
def _plan_resize_backward(*call: Any) -> Plan:
    from gpu_upsample.plan.resample import plan_resize_backward

    return plan_resize_backward(*call)


def interpolate_backward(
    grad_output: Array,
    input_size: Shape,
    size: Integers | None = None,
    scale_factor: Numbers | None = None,
    mode: Mode = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    *,
    data_format: DataFormat = "channels_first",
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Return the gradient of `interpolate` with respect to its input.

    Interpolation is a sparse matrix, and this applies its transpose: every input sample gathers from the outputs that
    it contributes to. Nothing is scattered, so results are identical on every run, with any number of threads and on
    both backends.

    Parameters
    ----------
    grad_output : array
        Gradient of a scalar loss with respect to the output, in its shape; float16, bfloat16, float32, float64 or
        complex. Sums of the first three are accumulated in float32.
    input_size : sequence of int
        The whole shape of the input of `interpolate`.
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, data_format
        As given to `interpolate`.
    out : array, optional
        Array for the result, with the type and dtype of `grad_output` and the shape `input_size`; must not overlap
        `grad_output`.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `interpolate`.

    Returns
    -------
    array, shape input_size
        Same array type, dtype and device as `grad_output`.

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
    result: Array = apply(_plan_interpolate_backward, arguments, {"grad_output": grad_output}, out, backend)
    return result


def resize_backward(
    grad_output: Array,
    input_size: Shape,
    size: Integers | None = None,
    scale: Numbers | None = None,
    *,
    axes: Integers | None = None,
    method: Method | Sequence[Method] = "linear",
    antialias: bool = False,
    coordinates: Coordinates = "half_pixel",
    nearest_rounding: Rounding = "round_prefer_floor",
    cubic_coeff: SupportsFloat = -0.5,
    border: Border | Sequence[Border] = "clamp",
    fill_value: SupportsFloat = 0,
    box: Box | None = None,
    out: Array | None = None,
    backend: Backend | None = None,
) -> Array:
    """Return the gradient of `resize` with respect to its input.

    Parameters
    ----------
    grad_output : array
        Gradient of a scalar loss with respect to the output, in its shape; dtypes and sums as in
        `interpolate_backward`.
    input_size : sequence of int
        The whole shape of the input of `resize`.
    size, scale, axes, method, antialias, coordinates, nearest_rounding, cubic_coeff, border, box
        As given to `resize`.
    fill_value : float, optional
        As given to `resize`; the gradient does not depend on it.
    out, backend
        As in `interpolate_backward`.

    Returns
    -------
    array, shape input_size
        Same array type, dtype and device as `grad_output`.

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
        input_size, fill_value, border, size, scale, axes, method, antialias, coordinates, nearest_rounding,
        cubic_coeff, box,
    )  # fmt: skip
    result: Array = apply(_plan_resize_backward, arguments, {"grad_output": grad_output}, out, backend)
    return result
