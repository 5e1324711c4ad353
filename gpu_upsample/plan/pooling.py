"""The geometry of max pooling and unpooling; every error about their arguments is raised here.

Any array is seen as ``(planes, depth, rows, columns)``: what it lacks in spatial axes are axes of length 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.plan.cache import has_items
from gpu_upsample.plan.dtypes import PARTS, Storage, scalars
from gpu_upsample.plan.shapes import LONGEST_AXIS, as_flag, check_addressable
from gpu_upsample.plan.steps import Output, Plan
from gpu_upsample.plan.windows import Triple, count_windows, integers, three

AXES = {1: "L", 2: "H, W", 3: "D, H, W"}
"""The spatial axes of arrays of each rank, as messages call them."""

_INDEX_DTYPES = ("int32", "int64")


@dataclass(frozen=True, eq=False)
class PoolStep:
    """The largest sample of every window, and where in its plane it lies.

    A window is read in ascending order of its positions. The first of equal samples wins, and the last NaN if
    there is any. No window is empty.

    Attributes
    ----------
    planes : int
        Number of arrays that are pooled, each by itself.
    size_in, size_out : tuple of 3 int
        Lengths of the spatial axes.
    kernel, stride, padding, dilation : tuple of 3 int
        The windows: tap ``k`` of output ``o`` is sample ``o * stride - padding + k * dilation``, if there is one.
    storage : Storage
        The scalar of the array.
    numbering : tuple of 4 int or None
        How far apart the positions of neighbouring planes are, and of neighbours along each axis of a plane; None
        for flat positions within their plane.
    """

    planes: int
    size_in: Triple
    size_out: Triple
    kernel: Triple
    stride: Triple
    padding: Triple
    dilation: Triple
    storage: Storage
    numbering: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class UnpoolStep:
    """Zeros, but for the samples of the input at the positions that their indices name.

    Of several samples for one position the last in the order of the input wins.

    Attributes
    ----------
    shape : tuple of int
        Shape of the input and of the indices.
    planes, n_in, n_out : int
        Number of planes, and the samples of one of them before and after.
    storage : Storage
        The scalar of the array.
    parts : int
        How many scalars make a sample.
    validate : bool
        Whether a backend that would not wait for the indices has to check them first.
    windows : pair of (tuple of 3 int), optional
        The lengths of the input's axes, and of the windows that were pooled along each, if these tile the output.
        Indices that pooling has found then lie in windows of their own.
    indices : str
        What messages call the indices.
    """

    shape: tuple[int, ...]
    planes: int
    n_in: int
    n_out: int
    storage: Storage
    parts: int
    validate: bool
    windows: tuple[Triple, Triple] | None = None
    indices: str = "indices"


def named_index(shape: tuple[int, ...], position: int, index: int, name: str = "indices") -> str:
    """Return the words for an index at a flat position of indices of that shape and name.

    Examples
    --------
    >>> named_index((2, 3), 4, -7)
    'indices[1, 1] is -7'
    """
    at = ", ".join(str(int(i)) for i in np.unravel_index(position, shape))
    return f"{name}[{at}] is {index}"


def index_error(step: UnpoolStep, position: int, index: int) -> ValueError:
    """Return the error for an index out of range, at a flat position of the indices."""
    at = named_index(step.shape, position, index, step.indices)
    return ValueError(f"{step.indices} must lie between 0 and {step.n_out - 1}; {at}")


def check_index_dtype(dtype: str, name: str = "indices") -> None:
    """Refuse indices of a dtype that counts nothing."""
    if dtype not in _INDEX_DTYPES:
        raise TypeError(f"{name} must have dtype {' or '.join(_INDEX_DTYPES)}, got {dtype}")


def _spatial(operator: str, rank: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of the spatial axes, the last ones of a batch or of one unbatched array."""
    axes = AXES[rank]
    if len(shape) not in (rank + 1, rank + 2):
        raise ValueError(f"{operator}{rank}d takes x of shape (N, C, {axes}) or (C, {axes}); got {shape}")
    if 0 in shape[-rank:]:
        raise ValueError(f"a spatial axis must not be empty; x has shape {shape}")
    if max(shape[-rank:]) > LONGEST_AXIS:
        raise ValueError(f"a spatial axis may have at most {LONGEST_AXIS} samples; x has shape {shape}")
    return shape[-rank:]


def count_pooled(n: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int, ceil_mode: bool) -> int:
    """Return the number of windows of an axis with padding at its two ends; less than 1 where the kernel is too long.

    With `ceil_mode` a last window may reach beyond the padding, if it begins before its end.

    Examples
    --------
    >>> count_pooled(6, 3, 2, (0, 0), 1, False), count_pooled(6, 3, 2, (0, 0), 1, True)
    (2, 3)
    """
    count = count_windows(n + sum(padding) + (stride - 1 if ceil_mode else 0), kernel, stride, 0, dilation)
    return count - 1 if ceil_mode and (count - 1) * stride >= n + padding[0] else count


def skips_axis(n: int, stride: int, padding: int, dilation: int, count: int) -> bool:
    """Return whether one of the windows that begin before an axis steps over the whole of it.

    Examples
    --------
    >>> skips_axis(2, stride=1, padding=1, dilation=2, count=2), skips_axis(2, stride=1, padding=1, dilation=4, count=2)
    (False, True)
    """
    if dilation <= n:
        return False
    begin = np.arange(min(count, -(-padding // stride))) * stride - padding
    return bool((begin % dilation >= n).any())


def _windows_of_axis(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Return the number of windows of an axis, as torch accepts them."""
    reach = f"a kernel of {kernel} with dilation {dilation} on an axis of {n} with padding {padding}"
    if 2 * padding > kernel:
        raise ValueError(f"padding must be at most half of kernel_size; got {reach}")
    count = count_pooled(n, kernel, stride, (padding, padding), dilation, ceil_mode)
    if count < 1:
        raise ValueError(f"kernel_size must fit into the padded axis; got {reach}")
    if count > LONGEST_AXIS:
        raise ValueError(f"an axis of the result may have at most {LONGEST_AXIS} samples; got {reach}")
    if skips_axis(n, stride, padding, dilation, count):
        raise ValueError(f"every window must hold a sample; got {reach}")
    return count


def plan_max_pool(
    shape: tuple[int, ...],
    dtype: str,
    rank: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    return_indices: Any,
) -> Plan:
    """Plan the max pooling of an array.

    Examples
    --------
    >>> plan = plan_max_pool((2, 3, 5, 5), "float32", 2, 3, 2, 1, 1, False, True)
    >>> [output.shape for output in plan.outputs], plan.steps[0].planes, plan.steps[0].size_out
    ([(2, 3, 3, 3), (2, 3, 3, 3)], 6, (1, 3, 3))
    """
    storage, _ = scalars(dtype)
    if dtype in PARTS:
        raise TypeError(f"max_pool{rank}d needs values with an order; got dtype {dtype}")
    size = _spatial("max_pool", rank, shape)
    kernel = integers("kernel_size", kernel_size, rank, least=1)
    strides = kernel if stride is None else integers("stride", stride, rank, least=1)
    paddings = integers("padding", padding, rank, least=0)
    dilations = integers("dilation", dilation, rank, least=1)
    ceil, indices = as_flag("ceil_mode", ceil_mode), as_flag("return_indices", return_indices)
    axes = zip(size, kernel, strides, paddings, dilations, strict=True)
    size_out = tuple(_windows_of_axis(*axis, ceil) for axis in axes)
    step = PoolStep(
        prod(shape[:-rank]),
        three(size, 1),
        three(size_out, 1),
        three(kernel, 1),
        three(strides, 1),
        three(paddings, 0),
        three(dilations, 1),
        storage,
    )
    shape_out = (*shape[:-rank], *size_out)
    outputs = (Output(shape_out, dtype), Output(shape_out, "int64"))
    return Plan(outputs if indices else outputs[:1], (step,))


def _unpooled_size(shape: tuple[int, ...], default: tuple[int, ...], strides: tuple[int, ...], asked: Any) -> Any:
    """Return the output size, checked against those that pool to the size of the input."""
    rank = len(default)
    if asked is None:
        if min(default) < 1:
            raise ValueError(f"kernel_size, stride and padding give the output size {default} for x of shape {shape}")
        return default
    given = tuple(asked) if has_items(asked) else asked
    if isinstance(given, tuple) and len(given) in (len(shape), rank + 2):
        if len(given) == len(shape) and given[:-rank] != shape[:-rank]:
            raise ValueError(f"output_size must begin like x, of shape {shape}; got {asked!r}")
        given = given[-rank:]
    size = integers("output_size", given, rank, least=1)
    for n, middle, stride in zip(size, default, strides, strict=True):
        if not middle - stride < n < middle + stride:
            raise ValueError(
                f"output_size must be less than one stride {strides} away from {default}, the size that "
                f"kernel_size, stride and padding give; got {asked!r}"
            )
    return size


def plan_max_unpool(
    shape: tuple[int, ...],
    dtype: str,
    indices_shape: tuple[int, ...],
    indices_dtype: str,
    rank: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
    validate: Any,
) -> Plan:
    """Plan the unpooling of an array.

    Examples
    --------
    >>> plan = plan_max_unpool((1, 2, 3), "uint8", (1, 2, 3), "int64", 1, 2, None, 0, None, False)
    >>> plan.outputs[0].shape, plan.steps[0].n_in, plan.steps[0].n_out
    ((1, 2, 6), 3, 6)
    >>> plan.steps[0].windows
    ((1, 1, 3), (1, 1, 2))
    """
    storage, parts = scalars(dtype)
    check_index_dtype(indices_dtype)
    if indices_shape != shape:
        raise ValueError(f"indices must have the shape of x, {shape}; got {indices_shape}")
    size = _spatial("max_unpool", rank, shape)
    kernel = integers("kernel_size", kernel_size, rank, least=1)
    strides = kernel if stride is None else integers("stride", stride, rank, least=1)
    paddings = integers("padding", padding, rank, least=0)
    axes = zip(size, kernel, strides, paddings, strict=True)
    default = tuple((n - 1) * s + k - 2 * p for n, k, s, p in axes)
    size_out = _unpooled_size(shape, default, strides, output_size)
    check_addressable((*shape[:-rank], *size_out), dtype)
    planes = prod(shape[:-rank])
    tile = size_out == tuple(n * k for n, k in zip(size, kernel, strict=True)) and strides == kernel
    windows = (three(size, 1), three(kernel, 1)) if tile and not any(paddings) else None
    step = UnpoolStep(shape, planes, prod(size), prod(size_out), storage, parts, as_flag("validate", validate), windows)
    return Plan((Output((*shape[:-rank], *size_out), dtype),), (step,))
