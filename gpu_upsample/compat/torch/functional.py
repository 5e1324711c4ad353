"""The functions of ``torch.nn.functional`` that the package has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gpu_upsample.compat.torch import operators

Integers = int | Sequence[int]
Numbers = float | Sequence[float]


def _tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch tensor, got {type(value).__module__}.{type(value).__qualname__}")
    return value


def _each(value: Any, rank: int) -> Any:
    """Return one value per axis as a list, which is what operators take; None stays None."""
    if value is None:
        return None
    return list(value) if isinstance(value, Sequence) else [value] * rank


def interpolate(
    input: Tensor,  # noqa: A002 - torch's name
    size: Integers | None = None,
    scale_factor: Numbers | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize the spatial axes of a batch: ``torch.nn.functional.interpolate``, with the modes of `interpolate`.

    Parameters
    ----------
    input : Tensor, shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
        The batch, in either memory format, which the result keeps. Bytes give the bits of torch's CPU kernels (see
        `gpu_upsample.compat.torch_uint8`).
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
        As in `gpu_upsample.interpolate`.

    Examples
    --------
    >>> interpolate(torch.tensor([[[1.0, 3.0]]]), size=4)
    tensor([[[1., 1., 3., 3.]]])
    """
    rank = _tensor("input", input).ndim - 2
    sampling = (_each(size, rank), _each(scale_factor, rank), mode, align_corners, recompute_scale_factor, antialias)
    result: Tensor = operators.interpolate(input, *sampling)
    return result


def _windows(rank: int, kernel_size: Any, stride: Any, *others: Any) -> tuple[Any, ...]:
    return (_each(kernel_size, rank), _each(stride, rank), *(_each(value, rank) for value in others))


def _max_pool(rank: int, x: Any, windows: tuple[Any, ...], ceil_mode: bool, return_indices: bool) -> Any:
    values, indices = operators.max_pool(_tensor("input", x), *_windows(rank, *windows), ceil_mode)
    return (values, indices) if return_indices else values


def max_pool1d(
    input: Tensor,  # noqa: A002
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    dilation: Integers = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Take the largest sample of every window: ``torch.nn.functional.max_pool1d``.

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
    """Take the largest sample of every window: ``torch.nn.functional.max_pool2d``."""
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
    """Take the largest sample of every window: ``torch.nn.functional.max_pool3d``."""
    return _max_pool(3, input, (kernel_size, stride, padding, dilation), ceil_mode, return_indices)


def _max_unpool(rank: int, x: Any, indices: Any, windows: tuple[Any, ...], output_size: Any) -> Tensor:
    size = None if output_size is None else list(output_size)[-rank:]
    arguments = (_tensor("input", x), _tensor("indices", indices), *_windows(rank, *windows), size)
    result: Tensor = operators.max_unpool(*arguments)
    return result


def max_unpool1d(
    input: Tensor,  # noqa: A002
    indices: Tensor,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put pooled samples back where they were: ``torch.nn.functional.max_unpool1d``.

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
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put pooled samples back where they were: ``torch.nn.functional.max_unpool2d``."""
    return _max_unpool(2, input, indices, (kernel_size, stride, padding), output_size)


def max_unpool3d(
    input: Tensor,  # noqa: A002
    indices: Tensor,
    kernel_size: Integers,
    stride: Integers | None = None,
    padding: Integers = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put pooled samples back where they were: ``torch.nn.functional.max_unpool3d``."""
    return _max_unpool(3, input, indices, (kernel_size, stride, padding), output_size)


def _conv_transpose(rank: int, x: Any, weight: Any, bias: Any, geometry: tuple[Any, ...], groups: int) -> Tensor:
    stride, padding, output_padding, dilation = (_each(value, rank) for value in geometry)
    result: Tensor = operators.conv_transpose(
        _tensor("input", x),
        _tensor("weight", weight),
        bias,
        stride,
        padding,
        output_padding,
        groups,
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
    groups: int = 1,
    dilation: Integers = 1,
) -> Tensor:
    """Spread every sample over the output by a learned kernel: ``torch.nn.functional.conv_transpose1d``.

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
    groups: int = 1,
    dilation: Integers = 1,
) -> Tensor:
    """Spread every pixel over the output by a learned kernel: ``torch.nn.functional.conv_transpose2d``."""
    return _conv_transpose(2, input, weight, bias, (stride, padding, output_padding, dilation), groups)


def conv_transpose3d(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Integers = 1,
    padding: Integers = 0,
    output_padding: Integers = 0,
    groups: int = 1,
    dilation: Integers = 1,
) -> Tensor:
    """Spread every voxel over the output by a learned kernel: ``torch.nn.functional.conv_transpose3d``."""
    return _conv_transpose(3, input, weight, bias, (stride, padding, output_padding, dilation), groups)


def _of_images(operator: Any, x: Any, factor: int) -> Tensor:
    """Run a shuffle on the last three axes, whatever lies before them."""
    images = _tensor("input", x)
    if images.ndim <= 4:
        result: Tensor = operator(images, factor)
        return result
    return operator(images.flatten(0, -4), factor).unflatten(0, images.shape[:-3])  # type: ignore[no-any-return]


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:  # noqa: A002
    """Turn channels into pixels: ``torch.nn.functional.pixel_shuffle``.

    Examples
    --------
    >>> pixel_shuffle(torch.arange(4.0).view(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    return _of_images(operators.pixel_shuffle, input, upscale_factor)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:  # noqa: A002
    """Turn pixels into channels: ``torch.nn.functional.pixel_unshuffle``."""
    return _of_images(operators.pixel_unshuffle, input, downscale_factor)


def fold(
    input: Tensor,  # noqa: A002
    output_size: Integers,
    kernel_size: Integers,
    dilation: Integers = 1,
    padding: Integers = 0,
    stride: Integers = 1,
) -> Tensor:
    """Add up overlapping windows: ``torch.nn.functional.fold``.

    Examples
    --------
    >>> fold(torch.ones(4, 4), 3, 2)
    tensor([[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]])
    """
    windows = (_each(value, 2) for value in (output_size, kernel_size, dilation, padding, stride))
    result: Tensor = operators.fold(_tensor("input", input), *windows)
    return result


def unfold(
    input: Tensor,  # noqa: A002
    kernel_size: Integers,
    dilation: Integers = 1,
    padding: Integers = 0,
    stride: Integers = 1,
) -> Tensor:
    """Lay windows side by side: ``torch.nn.functional.unfold``."""
    windows = (_each(value, 2) for value in (kernel_size, dilation, padding, stride))
    result: Tensor = operators.unfold(_tensor("input", input), *windows)
    return result
