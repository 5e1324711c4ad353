"""The gradients of the transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.conv_transpose_backward import as_needs, plan_conv_transpose_backward
from gpu_upsample.typing import Backend, DataFormat, Integers, Precision

Gradients = tuple[Any, Any, Any]

_plan = cached(plan_conv_transpose_backward)


def _backward(
    grad_output: Any, x: Any, weight: Any, needs: Any, arguments: tuple[Any, ...], out: Any, backend: Backend | None
) -> Gradients:
    """Compute the gradients that are needed; `arguments` are those of the transposed convolution's plan."""
    wanted = as_needs(needs)
    goals = None if out is None else _needed(wanted, out)
    if not any(wanted):
        return None, None, None
    inputs = {"grad_output": grad_output, "x": x, "weight": weight}
    found = apply(_plan, (wanted, *arguments), inputs, goals, backend)
    left = iter(found if isinstance(found, tuple) else (found,))
    grad_x, grad_weight, grad_bias = (next(left) if need else None for need in wanted)
    return grad_x, grad_weight, grad_bias


def _needed(wanted: tuple[bool, bool, bool], out: Any) -> Any:
    """Return the arrays of `out` for the gradients that are wanted: one, or a tuple of several."""
    if not isinstance(out, tuple) or tuple(goal is not None for goal in out) != wanted:
        form = ", ".join("array" if want else "None" for want in wanted)
        given = ", ".join(type(goal).__name__ for goal in out) if isinstance(out, tuple) else type(out).__name__
        raise TypeError(f"out must be ({form}) with needs={wanted}; got ({given})")
    goals = tuple(goal for goal in out if goal is not None)
    return goals if len(goals) > 1 else next(iter(goals), None)


def conv_transpose1d_backward(
    grad_output: Any,
    x: Any,
    weight: Any,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
    *,
    needs: Sequence[bool] = (True, True, True),
    data_format: DataFormat = "channels_first",
    precision: Precision = "float32",
    deterministic: bool = False,
    out: Gradients | None = None,
    backend: Backend | None = None,
) -> Gradients:
    """Return the gradients of `conv_transpose1d` with respect to its input, weight and bias.

    Arguments, results and errors are those of `conv_transpose2d_backward`, with the shapes of `conv_transpose1d`.

    Examples
    --------
    >>> import numpy as np
    >>> x, weight = np.array([[1.0, 2.0]]), np.ones((1, 1, 3))
    >>> grad_x, grad_weight, grad_bias = conv_transpose1d_backward(np.array([[1.0, 2, 3, 4, 5]]), x, weight, stride=2)
    >>> grad_x, grad_weight, grad_bias
    (array([[ 6., 12.]]), array([[[ 7., 10., 13.]]]), array([15.]))
    """
    arguments = (1, stride, padding, output_padding, groups, dilation, data_format, precision, deterministic)
    return _backward(grad_output, x, weight, needs, arguments, out, backend)


def conv_transpose2d_backward(
    grad_output: Any,
    x: Any,
    weight: Any,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
    *,
    needs: Sequence[bool] = (True, True, True),
    data_format: DataFormat = "channels_first",
    precision: Precision = "float32",
    deterministic: bool = False,
    out: Gradients | None = None,
    backend: Backend | None = None,
) -> Gradients:
    """Return the gradients of `conv_transpose2d` with respect to its input, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient of a scalar loss with respect to the output, with the output's shape, array type and dtype.
    x, weight, stride, padding, output_padding, groups, dilation, data_format, precision
        As given to `conv_transpose2d`.
    needs : sequence of 3 bool
        Whether to compute the gradients with respect to the input, the weight and the bias.
    deterministic : bool
        Form every sum in one fixed order, so that both backends give the same bits. A CPU always does so, and a GPU for
        the bias gradient and short sums (few channels, depthwise). Other sums on a GPU are otherwise matrix products by
        cuBLAS, whose order is unspecified.
    out : tuple of 3 arrays or None, optional
        Arrays for the gradients, None for those that are not needed; they must not overlap an input or each other.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `interpolate`.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        With the shapes of `x`, of `weight` and (C_out,); same array type, dtype and device as `grad_output`. None for
        those that are not needed.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `conv_transpose2d`; also if the shape or dtype of `grad_output` differs from the output's, or if `needs`
        is not three booleans.

    Notes
    -----
    float16 and bfloat16 accumulate in float32. Long sums over batch and space are formed block by block. Gradients of
    complex arrays follow the convention of PyTorch 2.13: the input gradient uses the conjugate of the weight, and the
    weight gradient that of the input.

    Examples
    --------
    >>> import numpy as np
    >>> x, weight = np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.ones((1, 1, 2, 2))
    >>> grad_x, grad_weight, _ = conv_transpose2d_backward(
    ...     np.ones((1, 4, 4)), x, weight, stride=2, needs=(True, True, False)
    ... )
    >>> grad_x
    array([[[4., 4.],
            [4., 4.]]])
    >>> grad_weight
    array([[[[10., 10.],
             [10., 10.]]]])
    """
    arguments = (2, stride, padding, output_padding, groups, dilation, data_format, precision, deterministic)
    return _backward(grad_output, x, weight, needs, arguments, out, backend)


def conv_transpose3d_backward(
    grad_output: Any,
    x: Any,
    weight: Any,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
    *,
    needs: Sequence[bool] = (True, True, True),
    data_format: DataFormat = "channels_first",
    precision: Precision = "float32",
    deterministic: bool = False,
    out: Gradients | None = None,
    backend: Backend | None = None,
) -> Gradients:
    """Return the gradients of `conv_transpose3d` with respect to its input, weight and bias.

    Arguments, results and errors are those of `conv_transpose2d_backward`, with the shapes of `conv_transpose3d`.

    Examples
    --------
    >>> import numpy as np
    >>> x, weight = np.ones((1, 1, 4, 4, 4)), np.ones((1, 8, 2, 2, 2))
    >>> gradients = conv_transpose3d_backward(np.ones((1, 8, 8, 8, 8)), x, weight, stride=2)
    >>> [gradient.shape for gradient in gradients]
    [(1, 1, 4, 4, 4), (1, 8, 2, 2, 2), (8,)]
    """
    arguments = (3, stride, padding, output_padding, groups, dilation, data_format, precision, deterministic)
    return _backward(grad_output, x, weight, needs, arguments, out, backend)
