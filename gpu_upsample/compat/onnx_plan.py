"""From the arguments of ONNX's pooling, convolution and rearrangement to plans; every error is raised here.

Unlike torch's operators, ONNX's pad the two ends of an axis differently. Beyond the padding at the beginning and the
number of windows, no kernel needs to know.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.compat.onnx_resize import as_bit
from gpu_upsample.plan.conv_transpose import make_step
from gpu_upsample.plan.dtypes import PARTS, check_floating, scalars, words
from gpu_upsample.plan.pooling import PoolStep, UnpoolStep, check_index_dtype, count_pooled, skips_axis
from gpu_upsample.plan.rearrange import FoldStep, ShuffleStep, fold_axes
from gpu_upsample.plan.shapes import ADDRESSABLE, LONGEST_AXIS, as_choice, as_integer, check_addressable, check_lengths
from gpu_upsample.plan.steps import Output, Plan
from gpu_upsample.plan.windows import count_windows, integers, reach, three

Pads = tuple[int, int]


# ---- attributes ---------------------------------------------------------------------------------------------
def _attribute(name: str, value: Any, rank: int, least: int, default: int) -> tuple[int, ...]:
    """Return an optional attribute that has one integer per spatial axis."""
    return (default,) * rank if value is None else integers(name, value, rank, least)


def _required(name: str, value: Any, rank: int) -> tuple[int, ...]:
    """Return an attribute that has one positive integer per spatial axis."""
    if not isinstance(value, tuple) or len(value) != rank:
        raise ValueError(f"{name} must have {rank} entries, one per spatial axis; got {value!r}")
    return integers(name, value, rank, 1)


def _pads(value: Any, rank: int, auto_pad: str) -> tuple[Pads, ...]:
    """Return what is added before and behind every spatial axis, where the caller says so."""
    if value is None:
        return ((0, 0),) * rank
    if auto_pad != "NOTSET":
        raise ValueError(f"pads cannot be given with auto_pad={auto_pad!r}; got pads={value!r}")
    if not isinstance(value, tuple) or len(value) != 2 * rank:
        raise ValueError(f"pads must have {2 * rank} entries, all beginnings before all ends; got {value!r}")
    numbers = integers("pads", value, 2 * rank, 0)
    return tuple(zip(numbers[:rank], numbers[rank:], strict=True))


SHARES: dict[str, Callable[[int], int]] = {
    "SAME_UPPER": lambda total: total // 2,
    "SAME_LOWER": lambda total: total - total // 2,
}
"""Name of a rule by which the padding follows from the sizes -> how much of it lies before an axis."""

AUTO_PADS = ("NOTSET", "VALID", *SHARES)


def _spatial(operator: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of the axes behind N and C."""
    if not 3 <= len(shape) <= 5:
        raise ValueError(f"X of {operator} must have the axes N, C and 1 to 3 spatial ones; got shape {shape}")
    check_lengths("X", shape[2:])
    return shape[2:]


# ---- max pooling --------------------------------------------------------------------------------------------
def _pooled(n: int, kernel: int, stride: int, dilation: int, pads: Pads, auto_pad: str, ceil: bool) -> tuple[int, int]:
    """Return the padding before an axis and the number of its windows."""
    if auto_pad in SHARES:
        count = -(-n // stride)
        return SHARES[auto_pad](max(0, (count - 1) * stride + dilation * (kernel - 1) + 1 - n)), count
    return pads[0], count_pooled(n, kernel, stride, pads, dilation, ceil and auto_pad != "VALID")


def _check_windows(n: int, kernel: int, stride: int, dilation: int, before: int, count: int) -> None:
    where = f"kernel_shape {kernel} with dilation {dilation} and stride {stride} on an axis of {n} samples"
    if not 1 <= count <= LONGEST_AXIS:
        raise ValueError(f"kernel_shape must fit into the padded axis; got {where}")
    # The windows that begin before the axis have their first sample within a dilation of it.
    empty = (count - 1) * stride - before >= n or before > dilation * (kernel - 1)
    if empty or skips_axis(n, stride, before, dilation, count):
        raise ValueError(f"every window must hold a sample; got {where}, of which {before} of padding at the beginning")


STORAGE_ORDERS: dict[int, Callable[[tuple[int, int, int]], tuple[int, int, int]]] = {
    0: lambda size: (size[1] * size[2], size[2], 1),
    1: lambda size: (1, size[0], size[0] * size[1]),
}
"""Storage order -> how far apart the neighbours along each spatial axis are numbered."""


def plan_onnx_max_pool(
    shape: tuple[int, ...],
    dtype: str,
    kernel_shape: Any,
    auto_pad: Any,
    ceil_mode: Any,
    dilations: Any,
    pads: Any,
    storage_order: Any,
    strides: Any,
) -> Plan:
    """Plan a MaxPool; the arguments are its attributes.

    Examples
    --------
    >>> plan = plan_onnx_max_pool((1, 2, 5), "int8", (2,), "NOTSET", 0, None, (0, 1), 0, None)
    >>> plan.outputs[0].shape, plan.steps[0].numbering
    ((1, 2, 5), (5, 5, 5, 1))
    """
    storage, _ = scalars(dtype)
    if dtype in PARTS:
        raise TypeError(f"X of MaxPool needs values with an order; got dtype {dtype}")
    size = _spatial("MaxPool", shape)
    rank = len(size)
    auto_pad = as_choice("auto_pad", auto_pad, AUTO_PADS)
    kernel = _required("kernel_shape", kernel_shape, rank)
    stride = _attribute("strides", strides, rank, 1, 1)
    dilation = _attribute("dilations", dilations, rank, 1, 1)
    ceil, order = as_bit("ceil_mode", ceil_mode), int(as_bit("storage_order", storage_order))
    before, size_out = [], []
    for n, k, s, d, ends in zip(size, kernel, stride, dilation, _pads(pads, rank, auto_pad), strict=True):
        begin, count = _pooled(n, k, s, d, ends, auto_pad, ceil)
        _check_windows(n, k, s, d, begin, count)
        before.append(begin)
        size_out.append(count)
    size_in = three(size, 1)
    step = PoolStep(
        prod(shape[:2]),
        size_in,
        three(tuple(size_out), 1),
        three(kernel, 1),
        three(stride, 1),
        three(tuple(before), 0),
        three(dilation, 1),
        storage,
        (prod(size_in), *STORAGE_ORDERS[order](size_in)),
    )
    shape_out = (*shape[:2], *size_out)
    return Plan((Output(shape_out, dtype), Output(shape_out, "int64")), (step,))


def plan_onnx_max_unpool(
    shape: tuple[int, ...],
    dtype: str,
    indices_shape: tuple[int, ...],
    indices_dtype: str,
    output_shape: Any,
    kernel_shape: Any,
    pads: Any,
    strides: Any,
) -> Plan:
    """Plan a MaxUnpool; the arguments are its inputs and attributes.

    Examples
    --------
    >>> pooled = (1, 1, 2, 2)
    >>> plan_onnx_max_unpool(pooled, "float32", pooled, "int64", None, (2, 2), None, (2, 2)).outputs[0].shape
    (1, 1, 4, 4)
    """
    storage, parts = scalars(dtype)
    check_index_dtype(indices_dtype, "I")
    if indices_shape != shape:
        raise ValueError(f"I must have the shape of X, {shape}; got {indices_shape}")
    size = _spatial("MaxUnpool", shape)
    rank = len(size)
    kernel = _required("kernel_shape", kernel_shape, rank)
    stride = _attribute("strides", strides, rank, 1, 1)
    if output_shape is None:
        axes = zip(size, kernel, stride, _pads(pads, rank, "NOTSET"), strict=True)
        shape_out = (*shape[:2], *((n - 1) * s - sum(ends) + k for n, k, s, ends in axes))
    else:
        shape_out = integers("output_shape", output_shape, len(shape), 0, ADDRESSABLE)
        if shape_out[:2] != shape[:2]:
            raise ValueError(f"output_shape must begin with the N and C of X, {shape[:2]}; got {output_shape!r}")
    check_lengths("the result", shape_out[2:])
    check_addressable(shape_out, dtype)
    step = UnpoolStep(shape, 1, prod(shape), prod(shape_out), storage, parts, False, indices="I")
    return Plan((Output(shape_out, dtype),), (step,))


# ---- transposed convolution ---------------------------------------------------------------------------------
def plan_onnx_conv_transpose(
    shape: tuple[int, ...],
    dtype: str,
    weight_shape: tuple[int, ...],
    weight_dtype: str,
    bias_shape: tuple[int, ...] | None,
    bias_dtype: str | None,
    auto_pad: Any,
    dilations: Any,
    group: Any,
    kernel_shape: Any,
    output_padding: Any,
    output_shape: Any,
    pads: Any,
    strides: Any,
) -> Plan:
    """Plan a ConvTranspose; the arguments are its inputs and attributes.

    Examples
    --------
    >>> plan = plan_onnx_conv_transpose(
    ...     (1, 2, 4), "float32", (2, 1, 3), "float32", None, None, "NOTSET", None, 2, None, None, None, (0, 1), (2,)
    ... )
    >>> plan.outputs[0].shape, plan.steps[0].padding
    ((1, 2, 8), 0)
    """
    check_floating("X", dtype)
    size = _spatial("ConvTranspose", shape)
    rank = len(size)
    auto_pad = as_choice("auto_pad", auto_pad, AUTO_PADS)
    kernel = _checked_weight(shape, dtype, weight_shape, weight_dtype, kernel_shape)
    group = as_integer("group", group)
    if group < 1 or shape[1] % group:
        raise ValueError(f"group must be positive and divide the {shape[1]} channels of X; got {group}")
    n_out = weight_shape[1] * group
    if bias_shape is not None and bias_dtype != dtype:
        raise TypeError(f"B must have the dtype of X, {dtype}; got {bias_dtype}")
    if bias_shape is not None and bias_shape != (n_out,):
        raise ValueError(f"B must have shape ({n_out},), one number per channel of the result; got {bias_shape}")
    stride = _attribute("strides", strides, rank, 1, 1)
    dilation = _attribute("dilations", dilations, rank, 1, 1)
    extra = _attribute("output_padding", output_padding, rank, 0, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(
            f"output_padding must be smaller than strides or dilations; got output_padding={output_padding!r}, "
            f"strides={stride}, dilations={dilation}"
        )
    axes = zip(size, kernel, stride, extra, dilation, strict=True)
    whole = tuple((n - 1) * s + e + d * (k - 1) + 1 for n, k, s, e, d in axes)
    ends = _pads(pads if output_shape is None else None, rank, auto_pad)
    if output_shape is None and auto_pad not in SHARES:
        begin, size_out = tuple(e[0] for e in ends), tuple(m - sum(e) for m, e in zip(whole, ends, strict=True))
    else:
        same = tuple(n * s for n, s in zip(size, stride, strict=True))
        size_out = same if output_shape is None else _attribute("output_shape", output_shape, rank, 1, 1)
        share = SHARES.get(auto_pad, SHARES["SAME_LOWER"])
        begin = tuple(share(m - asked) for m, asked in zip(whole, size_out, strict=True))
    check_lengths("the result", size_out)
    check_addressable((shape[0], n_out, *size_out), dtype)
    step = make_step(
        batch=shape[0],
        groups=group,
        channels_in=shape[1] // group,
        channels_out=weight_shape[1],
        size_in=size,
        size_out=size_out,
        kernel=kernel,
        geometry={"stride": stride, "padding": begin, "dilation": dilation},
        dtype=dtype,
        bias=bias_shape is not None,
        channels_last=False,
        precision="float32",
        deterministic=False,
    )
    return Plan((Output((shape[0], n_out, *size_out), dtype),), (step,))


def _checked_weight(
    shape: tuple[int, ...], dtype: str, weight_shape: tuple[int, ...], weight_dtype: str, kernel_shape: Any
) -> tuple[int, ...]:
    """Return the kernel's lengths."""
    if weight_dtype != dtype:
        raise TypeError(f"W must have the dtype of X, {dtype}; got {weight_dtype}")
    if len(weight_shape) != len(shape) or weight_shape[0] != shape[1] or 0 in weight_shape:
        raise ValueError(
            f"W must have shape ({shape[1]}, M / group, kernel...) for X of shape {shape}; got {weight_shape}"
        )
    kernel = weight_shape[2:]
    if kernel_shape is not None and integers("kernel_shape", kernel_shape, len(kernel), 1) != kernel:
        raise ValueError(f"kernel_shape must be that of W, {kernel}; got {kernel_shape!r}")
    return kernel


# ---- blocks -------------------------------------------------------------------------------------------------
SHUFFLES: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "DCR": lambda channels, block: (1, channels),
    "CRD": lambda channels, block: (block * block, 1),
}
"""Mode -> how many planes apart the channels of a pixel are, and the pixels of a block."""


def plan_onnx_shuffle(shape: tuple[int, ...], dtype: str, blocksize: Any, mode: Any, enlarge: bool) -> Plan:
    """Plan a DepthToSpace, or a SpaceToDepth if not `enlarge`.

    Examples
    --------
    >>> plan = plan_onnx_shuffle((1, 8, 2, 3), "uint8", 2, "DCR", True)
    >>> plan.outputs[0].shape, plan.steps[0].rows, plan.steps[0].apart
    ((1, 2, 4, 6), array([ 0,  8,  1,  9,  2, 10,  3, 11]), 4)
    """
    storage, parts = scalars(dtype)
    block = as_integer("blocksize", blocksize)
    if block < 1:
        raise ValueError(f"blocksize must be at least 1, got {blocksize!r}")
    distances = SHUFFLES[as_choice("mode", mode, SHUFFLES)]
    if len(shape) != 4:
        raise ValueError(f"input must have the axes N, C, H and W; got shape {shape}")
    n, c, h, w = shape
    check_lengths("input", (h, w))
    if enlarge and c % block**2:
        raise ValueError(f"the channels of input must be a multiple of blocksize² = {block**2}; got shape {shape}")
    if not enlarge and (h % block or w % block):
        raise ValueError(f"the height and width of input must be multiples of blocksize={block}; got shape {shape}")
    few, high, wide = (c // block**2, h, w) if enlarge else (c, h // block, w // block)
    large, small = (n, few, high * block, wide * block), (n, few * block**2, high, wide)
    outputs = (Output(large if enlarge else small, dtype),)
    check_lengths("the result", outputs[0].shape[2:])
    check_addressable(outputs[0].shape, dtype)
    if block == 1:
        return Plan(outputs, ())
    between_channels, between_pixels = distances(few, block)
    channel = np.arange(few)[:, None, None] * (between_channels * high)
    row = np.arange(high)[:, None]
    pixel = np.arange(block) * (block * between_pixels * high)
    rows = (channel + row + pixel).ravel()
    step = ShuffleStep(n, rows, block, between_pixels * high, wide, enlarge, *words(storage, parts))
    return Plan(outputs, (step,))


def plan_onnx_col2im(
    shape: tuple[int, ...],
    dtype: str,
    image_shape: Any,
    block_shape: Any,
    dilations: Any,
    pads: Any,
    strides: Any,
) -> Plan:
    """Plan a Col2Im; the arguments are its inputs and attributes.

    Examples
    --------
    >>> plan_onnx_col2im((1, 5, 5), "float32", (5, 5), (1, 5), None, None, None).outputs[0].shape
    (1, 1, 5, 5)
    """
    storage, parts = scalars(dtype)
    if len(shape) != 3:
        raise ValueError(f"input must have the axes N, C * prod(block_shape) and L; got shape {shape}")
    if not isinstance(image_shape, tuple) or not 1 <= len(image_shape) <= 3:
        raise ValueError(f"image_shape must have 1 to 3 entries, got {image_shape!r}")
    rank = len(image_shape)
    image = integers("image_shape", image_shape, rank, 1)
    check_lengths("the result", image)
    block = _required("block_shape", block_shape, rank)
    dilation = _attribute("dilations", dilations, rank, 1, 1)
    ends = _pads(pads, rank, "NOTSET")
    stride = _attribute("strides", strides, rank, 1, 1)
    axes = zip(image, block, stride, dilation, ends, strict=True)
    count = tuple(count_windows(n + sum(e), k, s, 0, d) for n, k, s, d, e in axes)
    if min(count) < 1:
        raise ValueError(f"block_shape must fit into the padded image; got {block_shape!r} for image_shape {image}")
    if shape[1] % prod(block) or shape[2] != prod(count):
        raise ValueError(
            f"input must have a multiple of {prod(block)} rows, the product of block_shape, and {prod(count)} blocks "
            f"({' x '.join(map(str, count))}); got shape {shape}"
        )
    check_addressable((shape[0], shape[1] // prod(block), *image), dtype)
    tables = [
        reach(m, n, k, s, e[0], d) for m, n, k, s, e, d in zip(count, image, block, stride, ends, dilation, strict=True)
    ]
    step = FoldStep(shape[0], shape[1] // prod(block), fold_axes(tables), storage, storage, parts)
    return Plan((Output((shape[0], step.channels, *image), dtype),), (step,))
