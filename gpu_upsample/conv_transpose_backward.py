"""The gradients of the transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.conv_transpose_backward import as_needs, plan_conv_transpose_backward

Integers = int | Sequence[int]
Gradients = tuple[Any, Any, Any]

_plan = cached(plan_conv_transpose_backward)


def _backward(
    grad_output: Any, x: Any, weight: Any, needs: Any, arguments: tuple[Any, ...], backend: str | None
) -> Gradients:
    """Compute the gradients that are needed; `arguments` are those of the transposed convolution's plan."""
    wanted = as_needs(needs)
    if not any(wanted):
        return None, None, None
    inputs = {"grad_output": grad_output, "x": x, "weight": weight}
    found = apply(_plan, (wanted, *arguments), inputs, None, backend)
    left = iter(found if isinstance(found, tuple) else (found,))
    grad_x, grad_weight, grad_bias = (next(left) if need else None for need in wanted)
    return grad_x, grad_weight, grad_bias


def conv_transpose1d_backward(
    grad_output: Any,
    x: Any,
    weight: Any,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: int = 1,
    dilation: Integers = 1,
    *,
    needs: Sequence[bool] = (True, True, True),
    data_format: str = "channels_first",
    precision: str = "float32",
    deterministic: bool = False,
    backend: str | None = None,
) -> Gradients:
    """Return the gradients of `conv_transpose1d` for its input, weight and bias.

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
    return _backward(grad_output, x, weight, needs, arguments, backend)


def conv_transpose2d_backward(
    grad_output: Any,
    x: Any,
    weight: Any,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: int = 1,
    dilation: Integers = 1,
    *,
    needs: Sequence[bool] = (True, True, True),
    data_format: str = "channels_first",
    precision: str = "float32",
    deterministic: bool = False,
    backend: str | None = None,
) -> Gradients:
    """Return the gradients of `conv_transpose2d` for its input, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient of some number for the output of the transposed convolution: of its shape, kind and dtype.
    x, weight, stride, padding, output_padding, groups, dilation, data_format, precision
        What the transposed convolution was given.
    needs : sequence of 3 bool
        Which gradients to compute: for the input, the weight, the bias.
    deterministic : bool
        Whether to form every sum in one fixed order, so that all backends and numbers of threads give the same
        bits. The gradient for the bias always is, on the CPU that for the input, and so are all of short sums (few
        channels, depthwise).
    backend
        As in `interpolate`.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        Of the shapes of `x`, of `weight` and (C_out,), and of the kind, dtype and place of `grad_output`; None
        for those that are not needed.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `conv_transpose2d`; also if `grad_output` has not the shape and dtype of the output, or `needs` is not
        three booleans.

    Notes
    -----
    Sums are formed in float32 for float16, bfloat16 and float32, the long ones over batch and space block by block.
    Gradients of complex arrays follow PyTorch 2.13's convention: those for the input and for the weight take the
    conjugate of the other.

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
    return _backward(grad_output, x, weight, needs, arguments, backend)


def conv_transpose3d_backward(
    grad_output: Any,
    x: Any,
    weight: Any,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: int = 1,
    dilation: Integers = 1,
    *,
    needs: Sequence[bool] = (True, True, True),
    data_format: str = "channels_first",
    precision: str = "float32",
    deterministic: bool = False,
    backend: str | None = None,
) -> Gradients:
    """Return the gradients of `conv_transpose3d` for its input, weight and bias.

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
    return _backward(grad_output, x, weight, needs, arguments, backend)
