"""The functions of ``torch.nn.functional`` that the package has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsFloat, SupportsIndex

import torch
from torch import Tensor

from gpu_upsample.compat.torch import operators
from gpu_upsample.plan import shapes
from gpu_upsample.plan.borders import BORDERS
from gpu_upsample.plan.coordinates import COORDINATES
from gpu_upsample.plan.resample import METHODS, ROUNDINGS, checked_boxes, interpolation_flags
from gpu_upsample.plan.shapes import LONGEST_AXIS, as_choice, as_flag, as_integer, as_number
from gpu_upsample.typing import Border, Coordinates, Method, Mode, Rounding

Integers = SupportsIndex | Sequence[SupportsIndex]
Numbers = SupportsFloat | Sequence[SupportsFloat]


def _tensor(name: str, value: Any, like: Tensor | None = None) -> Tensor:
    """Return `value` if it is a tensor, and lies where another does."""
    if not isinstance(value, Tensor):
        arrays = (
            "; for other arrays there is the function of the same name in gpu_upsample, and "
            "gpu_upsample.compat.torch_uint8.interpolate with torch's arithmetic for uint8"
        )
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise TypeError(f"{name} must be a torch tensor, got {kind}{arrays if hasattr(value, 'shape') else ''}")
    if like is not None and value.device != like.device:
        raise TypeError(f"{name} must lie where input does, on {like.device}; got {value.device}")
    return value


def _integer(name: str, value: Any) -> int:
    """Return an integer that operators take."""
    number = as_integer(name, value)
    if abs(number) > LONGEST_AXIS:
        raise ValueError(f"{name} must lie within ±{LONGEST_AXIS}, got {value!r}")
    return number


def _each(name: str, value: Any, rank: int, read: Callable[[str, Any], Any] = _integer) -> Any:
    """Return one number per axis as a list, which is what operators take; one number serves them all."""
    given = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if len(given) not in (1, rank):
        raise ValueError(f"{name} must be one number or {rank}, one per axis; got {value!r}")
    return [read(name, number) for number in given] * (rank // len(given))


def _each_or_none(name: str, value: Any, rank: int, read: Callable[[str, Any], Any] = _integer) -> Any:
    """Return one number per axis as a list, or None; torch also takes an empty sequence for that."""
    empty = value is None or (isinstance(value, Sequence) and len(value) == 0)
    return None if empty else _each(name, value, rank, read)


def interpolate(
    input: Tensor,  # noqa: A002 - torch's name
    size: Integers | None = None,
    scale_factor: Numbers | None = None,
    mode: Mode = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize the spatial axes of a batch, as ``torch.nn.functional.interpolate`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        The batch, in either memory format. uint8 follows torch's CPU kernels bit for bit (see
        `gpu_upsample.compat.torch_uint8`).
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
        As in torch. There are more modes, and `antialias` works along 1 to 3 axes: see `gpu_upsample.interpolate`.

    Returns
    -------
    Tensor
        With the dtype, device and memory format of `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.interpolate`.

    Notes
    -----
    With `antialias`, PyTorch 2.13 returns wrong values on a CPU for a contiguous tensor whose height changes and whose
    new width is 1, a defect. Here the values are those that it returns for a tensor in its other memory format.

    Examples
    --------
    >>> interpolate(torch.tensor([[[1.0, 3.0]]]), size=4)
    tensor([[[1., 1., 3., 3.]]])
    """
    rank = _tensor("input", input).ndim - 2
    sizes = _each_or_none("size", size, rank)
    factors = _each_or_none("scale_factor", scale_factor, rank, as_number)
    sampling = (sizes, factors, mode, align_corners, recompute_scale_factor, antialias)
    interpolation_flags(sizes, *sampling[2:], "channels_first")
    result: Tensor = operators.interpolate(input, *sampling)
    return result


def resize(
    x: Tensor,
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
    box: Sequence[Sequence[SupportsFloat]] | None = None,
) -> Tensor:
    """Resize any axes of a tensor of any rank, as `gpu_upsample.resize` does; torch has no such function.

    Parameters
    ----------
    x : Tensor
        Any shape. uint8 is resized like any other dtype.
    size, scale, axes, method, antialias, coordinates, nearest_rounding, cubic_coeff, border, fill_value, box
        As in `gpu_upsample.resize`.

    Returns
    -------
    Tensor
        With the dtype and device of `x`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.resize`.

    Examples
    --------
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> y = resize(x, 4, border="extrapolate")
    >>> y.tolist()
    [0.75, 1.25, 1.75, 2.25]
    >>> y[0].backward()
    >>> x.grad
    tensor([ 1.2500, -0.2500])
    """
    ndim = _tensor("x", x).ndim
    shapes.check_exactly_one(size, scale, "scale")
    chosen = shapes.default_axes(ndim, size, scale) if axes is None else shapes.normalized_axes(axes, ndim)
    rank = len(chosen)
    sizes = None if size is None else [_integer("size", n) for n in shapes.per_axis("size", size, rank)]
    factors = None if scale is None else [as_number("scale", s) for s in shapes.per_axis("scale", scale, rank)]
    boxes = None if box is None else checked_boxes(box, (0,) * rank)
    result: Tensor = operators.resize(
        x,
        sizes,
        factors,
        list(chosen),
        [as_choice("method", m, METHODS) for m in shapes.per_axis("method", method, rank)],
        as_flag("antialias", antialias),
        as_choice("coordinates", coordinates, COORDINATES),
        as_choice("nearest_rounding", nearest_rounding, ROUNDINGS),
        as_number("cubic_coeff", cubic_coeff),
        [as_choice("border", rule, BORDERS) for rule in shapes.per_axis("border", border, rank)],
        fill_value if isinstance(fill_value, int | float) else shapes.as_real("fill_value", fill_value),
        boxes and [edge for pair in boxes if pair for edge in pair],
    )
    return result


def _windows(rank: int, kernel_size: Any, stride: Any, padding: Any) -> tuple[Any, ...]:
    given = _each("kernel_size", kernel_size, rank), _each_or_none("stride", stride, rank)
    return (*given, _each("padding", padding, rank))


def _max_pool(rank: int, x: Any, windows: tuple[Any, ...], ceil_mode: bool, return_indices: bool) -> Any:
    *sliding, dilation = windows
    geometry = (*_windows(rank, *sliding), _each("dilation", dilation, rank))
    values, indices = operators.max_pool(_tensor("input", x), *geometry, as_flag("ceil_mode", ceil_mode))
    return (values, indices) if as_flag("return_indices", return_indices) else values


def max_pool1d(
    input: Tensor,  # noqa: A002
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest sample of every window, as ``torch.nn.functional.max_pool1d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C, L) or (C, L)
        Any real or bool dtype.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in torch. A window that contains no sample is an error.

    Returns
    -------
    Tensor or (Tensor, Tensor)
        The maxima, with the dtype and device of `input`; with `return_indices`, also their positions.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.max_pool1d`.

    Examples
    --------
    >>> max_pool1d(torch.tensor([[3.0, 1.0, 4.0, 1.0]]), 2)
    tensor([[3., 4.]])
    """
    return _max_pool(1, input, (kernel_size, stride, padding, dilation), ceil_mode, return_indices)


def max_pool2d(
    input: Tensor,  # noqa: A002
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest sample of every window, as ``torch.nn.functional.max_pool2d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Any real or bool dtype.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in torch. A window that contains no sample is an error.

    Returns
    -------
    Tensor or (Tensor, Tensor)
        The maxima, with the dtype and device of `input`; with `return_indices`, also their positions.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.max_pool2d`.

    Examples
    --------
    >>> max_pool2d(torch.tensor([[[3.0, 1.0], [4.0, 1.0]]]), 2)
    tensor([[[4.]]])
    """
    return _max_pool(2, input, (kernel_size, stride, padding, dilation), ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,  # noqa: A002
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest sample of every window, as ``torch.nn.functional.max_pool3d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        Any real or bool dtype.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in torch. A window that contains no sample is an error.

    Returns
    -------
    Tensor or (Tensor, Tensor)
        The maxima, with the dtype and device of `input`; with `return_indices`, also their positions.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.max_pool3d`.

    Examples
    --------
    >>> max_pool3d(torch.zeros(1, 4, 6, 8), 2).shape
    torch.Size([1, 2, 3, 4])
    """
    return _max_pool(3, input, (kernel_size, stride, padding, dilation), ceil_mode, return_indices)


def _max_unpool(rank: int, x: Any, indices: Any, windows: tuple[Any, ...], output_size: Any) -> Tensor:
    tensors = _tensor("input", x), _tensor("indices", indices, x)
    count = len(output_size) if isinstance(output_size, Sequence) else rank
    size = _each_or_none("output_size", output_size, count)
    result: Tensor = operators.max_unpool(*tensors, *_windows(rank, *windows), size)
    return result


def max_unpool1d(
    input: Tensor,  # noqa: A002
    indices: Tensor,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Integers | None = None,
) -> Tensor:
    """Place pooled samples at their indices, with zeros elsewhere, as ``torch.nn.functional.max_unpool1d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C, L) or (C, L)
        Values to place, usually the output of `max_pool1d`.
    indices : Tensor of int64 or int32, of the shape of `input`
        Their positions. If indices repeat, the last value wins, and it alone gets a gradient. On a GPU, an index out of
        range is skipped and reported by `gpu_upsample.check_errors`.
    kernel_size, stride, padding, output_size
        As in torch.

    Returns
    -------
    Tensor
        With the dtype and device of `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.max_unpool1d`.

    Examples
    --------
    >>> max_unpool1d(torch.tensor([[3.0, 4.0]]), torch.tensor([[0, 2]]), 2)
    tensor([[3., 0., 4., 0.]])
    """
    return _max_unpool(1, input, indices, (kernel_size, stride, padding), output_size)


def max_unpool2d(
    input: Tensor,  # noqa: A002
    indices: Tensor,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Integers | None = None,
) -> Tensor:
    """Place pooled samples at their indices, with zeros elsewhere, as ``torch.nn.functional.max_unpool2d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Values to place, usually the output of `max_pool2d`.
    indices : Tensor of int64 or int32, of the shape of `input`
        Their positions. If indices repeat, the last value wins, and it alone gets a gradient. On a GPU, an index out of
        range is skipped and reported by `gpu_upsample.check_errors`.
    kernel_size, stride, padding, output_size
        As in torch.

    Returns
    -------
    Tensor
        With the dtype and device of `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.max_unpool2d`.

    Examples
    --------
    >>> max_unpool2d(torch.tensor([[[4.0]]]), torch.tensor([[[2]]]), 2)
    tensor([[[0., 0.],
             [4., 0.]]])
    """
    return _max_unpool(2, input, indices, (kernel_size, stride, padding), output_size)


def max_unpool3d(
    input: Tensor,  # noqa: A002
    indices: Tensor,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Integers | None = None,
) -> Tensor:
    """Place pooled samples at their indices, with zeros elsewhere, as ``torch.nn.functional.max_unpool3d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C, D, H, W) or (C, D, H, W)
        Values to place, usually the output of `max_pool3d`.
    indices : Tensor of int64 or int32, of the shape of `input`
        Their positions. If indices repeat, the last value wins, and it alone gets a gradient. On a GPU, an index out of
        range is skipped and reported by `gpu_upsample.check_errors`.
    kernel_size, stride, padding, output_size
        As in torch.

    Returns
    -------
    Tensor
        With the dtype and device of `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.max_unpool3d`.

    Examples
    --------
    >>> max_unpool3d(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1, dtype=torch.int64), 2).shape
    torch.Size([1, 2, 2, 2])
    """
    return _max_unpool(3, input, indices, (kernel_size, stride, padding), output_size)


def _autocast(tensor: Tensor) -> Tensor:
    """Return what torch's own convolutions make of a tensor under autocast: doubles and complex numbers stay."""
    if not tensor.is_floating_point() or tensor.dtype == torch.float64:
        return tensor
    return tensor.to(torch.get_autocast_dtype(tensor.device.type))


def _conv_transpose(rank: int, x: Any, weight: Any, bias: Any, geometry: tuple[Any, ...], groups: Any) -> Tensor:
    names = ("stride", "padding", "output_padding", "dilation")
    stride, padding, output_padding, dilation = (
        _each(name, value, rank) for name, value in zip(names, geometry, strict=True)
    )
    tensors = [_tensor("input", x), _tensor("weight", weight, x)]
    tensors += [] if bias is None else [_tensor("bias", bias, x)]
    if torch.is_autocast_enabled(x.device.type):
        tensors = [_autocast(tensor) for tensor in tensors]
    result: Tensor = operators.conv_transpose(
        *tensors[:2],
        tensors[2] if bias is not None else None,
        stride,
        padding,
        output_padding,
        _integer("groups", groups),
        dilation,
        torch.are_deterministic_algorithms_enabled(),
    )
    return result


def conv_transpose1d(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
) -> Tensor:
    """Compute a transposed convolution, as ``torch.nn.functional.conv_transpose1d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, L) or (C_in, L)
        The input. float16, bfloat16, float32, float64 or complex.
    weight : Tensor, shape (C_in, C_out / groups, k)
        The kernels.
    bias : Tensor, shape (C_out,), optional
        Added to every output of a channel.
    stride, padding, output_padding, groups, dilation
        As in torch. ``torch.use_deterministic_algorithms(True)`` is `deterministic` of `gpu_upsample.conv_transpose1d`.

    Returns
    -------
    Tensor
        With the dtype and device of `input`. Under autocast, the dtype is that of autocast.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.conv_transpose1d`.

    Examples
    --------
    >>> conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.ones(1, 1, 3), stride=2)
    tensor([[1., 1., 3., 2., 2.]])
    """
    return _conv_transpose(1, input, weight, bias, (stride, padding, output_padding, dilation), groups)


def conv_transpose2d(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
) -> Tensor:
    """Compute a transposed convolution, as ``torch.nn.functional.conv_transpose2d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, H, W) or (C_in, H, W)
        In either memory format. float16, bfloat16, float32, float64 or complex.
    weight : Tensor, shape (C_in, C_out / groups, kH, kW)
        The kernels.
    bias : Tensor, shape (C_out,), optional
        Added to every output of a channel.
    stride, padding, output_padding, groups, dilation
        As in torch. ``torch.use_deterministic_algorithms(True)`` is `deterministic` of `gpu_upsample.conv_transpose2d`.

    Returns
    -------
    Tensor
        With the dtype, device and memory format of `input`. Under autocast, the dtype is that of autocast.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.conv_transpose2d`.

    Examples
    --------
    >>> conv_transpose2d(torch.ones(1, 1, 2), torch.ones(1, 1, 1, 2), stride=2)
    tensor([[[1., 1., 1., 1.]]])
    """
    return _conv_transpose(2, input, weight, bias, (stride, padding, output_padding, dilation), groups)


def conv_transpose3d(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: SupportsIndex = 1,
    dilation: Integers = 1,
) -> Tensor:
    """Compute a transposed convolution, as ``torch.nn.functional.conv_transpose3d`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C_in, D, H, W) or (C_in, D, H, W)
        In either memory format. float16, bfloat16, float32, float64 or complex.
    weight : Tensor, shape (C_in, C_out / groups, kD, kH, kW)
        The kernels.
    bias : Tensor, shape (C_out,), optional
        Added to every output of a channel.
    stride, padding, output_padding, groups, dilation
        As in torch. ``torch.use_deterministic_algorithms(True)`` is `deterministic` of `gpu_upsample.conv_transpose3d`.

    Returns
    -------
    Tensor
        With the dtype, device and memory format of `input`. Under autocast, the dtype is that of autocast.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.conv_transpose3d`.

    Examples
    --------
    >>> conv_transpose3d(torch.ones(1, 4, 4, 4), torch.ones(1, 8, 2, 2, 2), stride=2).shape
    torch.Size([8, 8, 8, 8])
    """
    return _conv_transpose(3, input, weight, bias, (stride, padding, output_padding, dilation), groups)


def _of_images(operator: Any, x: Any, name: str, factor: SupportsIndex) -> Tensor:
    """Run a shuffle on the last three axes, whatever lies before them; `name` is that of its factor."""
    images, number = _tensor("input", x), _integer(name, factor)
    if images.ndim < 3:
        raise ValueError(f"input must have at least 3 axes, channels, height and width; got {tuple(images.shape)}")
    if images.ndim <= 4:
        result: Tensor = operator(images, number)
        return result
    return operator(images.flatten(0, -4), number).unflatten(0, images.shape[:-3])  # type: ignore[no-any-return]


def pixel_shuffle(input: Tensor, upscale_factor: SupportsIndex) -> Tensor:  # noqa: A002
    """Turn channels into pixels, as ``torch.nn.functional.pixel_shuffle`` does.

    Parameters
    ----------
    input : Tensor, shape (..., C * r * r, H, W)
        Any dtype: bits are copied.
    upscale_factor : int
        The factor r.

    Returns
    -------
    Tensor, shape (..., C, H * r, W * r)
        With the dtype and device of `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.pixel_shuffle`.

    Examples
    --------
    >>> pixel_shuffle(torch.arange(4.0).view(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    return _of_images(operators.pixel_shuffle, input, "upscale_factor", upscale_factor)


def pixel_unshuffle(input: Tensor, downscale_factor: SupportsIndex) -> Tensor:  # noqa: A002
    """Turn pixels into channels, as ``torch.nn.functional.pixel_unshuffle`` does.

    Parameters
    ----------
    input : Tensor, shape (..., C, H * r, W * r)
        Any dtype: bits are copied.
    downscale_factor : int
        The factor r.

    Returns
    -------
    Tensor, shape (..., C * r * r, H, W)
        With the dtype and device of `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.pixel_unshuffle`.

    Examples
    --------
    >>> pixel_unshuffle(torch.tensor([[[0.0, 1.0], [2.0, 3.0]]]), 2).flatten()
    tensor([0., 1., 2., 3.])
    """
    return _of_images(operators.pixel_unshuffle, input, "downscale_factor", downscale_factor)


def _sliding(*windows: Any) -> list[Any]:
    names = ("kernel_size", "dilation", "padding", "stride")
    return [_each(name, value, 2) for name, value in zip(names, windows, strict=True)]


def fold(
    input: Tensor,  # noqa: A002
    output_size: Integers,
    kernel_size: Integers,
    dilation: Integers = 1,
    padding: Integers = 0,
    stride: Integers = 1,
) -> Tensor:
    """Sum overlapping windows (col2im), as ``torch.nn.functional.fold`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C * prod(kernel_size), windows) or (C * prod(kernel_size), windows)
        The windows as columns.
    output_size, kernel_size, dilation, padding, stride
        As in torch.

    Returns
    -------
    Tensor, shape (N, C, H, W) or (C, H, W)
        With the dtype and device of `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.fold`.

    Examples
    --------
    >>> fold(torch.ones(4, 4), 3, 2)
    tensor([[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]])
    """
    size = _each("output_size", output_size, 2)
    result: Tensor = operators.fold(_tensor("input", input), size, *_sliding(kernel_size, dilation, padding, stride))
    return result


def unfold(
    input: Tensor,  # noqa: A002
    kernel_size: Integers,
    dilation: Integers = 1,
    padding: Integers = 0,
    stride: Integers = 1,
) -> Tensor:
    """Extract sliding windows as columns (im2col), as ``torch.nn.functional.unfold`` does.

    Parameters
    ----------
    input : Tensor, shape (N, C, H, W) or (C, H, W)
        Any dtype: bits are copied.
    kernel_size, dilation, padding, stride
        As in torch.

    Returns
    -------
    Tensor, shape (N, C * prod(kernel_size), windows) or (C * prod(kernel_size), windows)
        With the dtype and device of `input`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `gpu_upsample.unfold`.

    Examples
    --------
    >>> unfold(torch.tensor([[[1.0, 2.0, 3.0]]]), (1, 2))
    tensor([[1., 2.],
            [2., 3.]])
    """
    windows = _sliding(kernel_size, dilation, padding, stride)
    result: Tensor = operators.unfold(_tensor("input", input), *windows)
    return result
