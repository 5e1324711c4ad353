"""The operators as torch knows them: registered with ``torch.library``, so that autograd and the compiler see them.

Each has a kernel (ours), a fake kernel (shapes from the plan) and a gradient, which is again one of these operators:
so what is linear can be differentiated twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import wraps
from typing import Any

import torch
from torch import Tensor

import gpu_upsample as gu
from gpu_upsample.compat import torch_uint8
from gpu_upsample.plan.conv_transpose import plan_conv_transpose
from gpu_upsample.plan.pooling import plan_max_pool, plan_max_unpool
from gpu_upsample.plan.rearrange import plan_fold, plan_shuffle, plan_unfold
from gpu_upsample.plan.resample import plan_interpolate, plan_resize
from gpu_upsample.typing import DataFormat

Gradients = tuple[Any, ...]


# ---- from tensors to arrays -----------------------------------------------------------------------------------
def _on_current_stream(tensor: Tensor) -> AbstractContextManager[Any]:
    """Queue CuPy's work where torch queues its own."""
    stack = ExitStack()
    if tensor.is_cuda:
        import cupy

        stream = torch.cuda.current_stream(tensor.device)
        stack.enter_context(cupy.cuda.Device(tensor.device.index))
        stack.enter_context(cupy.cuda.ExternalStream(stream.cuda_stream, tensor.device.index))
    return stack


def _described(tensor: Tensor | None) -> tuple[Any, Any]:
    """Return what a plan asks of an array: its shape and the name of its dtype."""
    if tensor is None:
        return None, None
    return tuple(int(n) for n in tensor.shape), str(tensor.dtype).removeprefix("torch.")


def _results(plan_for: Callable[..., Any], tensors: tuple[Tensor | None, ...], *arguments: Any) -> Any:
    """Return uninitialised results of the plan for some tensors and arguments, where the first tensor lies."""
    first = tensors[0]
    assert first is not None
    plan = plan_for(*(part for tensor in tensors for part in _described(tensor)), *arguments)
    made = tuple(first.new_empty(o.shape, dtype=getattr(torch, o.dtype)) for o in plan.outputs)
    return made if len(made) > 1 else made[0]


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""Number of axes -> torch's memory format in which the channels are the last axis."""


def _lies_channels_last(x: Tensor, rank: int) -> bool:
    form = _LAST.get(x.ndim) if x.ndim == rank + 2 else None  # without a batch, the first axis are the channels
    return form is not None and x.is_contiguous(memory_format=form) and not x.is_contiguous()


def _in_its_layout(function: Callable[..., Tensor], x: Tensor, rank: int) -> Tensor:
    """Call a function with `x` and the data format in which it lies in memory; the result lies the same way."""
    if not _lies_channels_last(x, rank):
        return function(x, data_format="channels_first")
    return function(x.movedim(1, -1), data_format="channels_last").movedim(-1, 1)


def _like_layout_of(x: Tensor, made: Tensor, rank: int) -> Tensor:
    return made.contiguous(memory_format=_LAST[x.ndim]) if _lies_channels_last(x, rank) else made


def _operator(schema: str, fake: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Register a function of tensors as an operator; `fake` makes results of the right shapes."""

    def register(function: Callable[..., Any]) -> Any:
        @wraps(function)
        def run(*arguments: Any) -> Any:
            plain = tuple(a.detach() if isinstance(a, Tensor) else a for a in arguments)
            with _on_current_stream(plain[0]):
                return function(*plain)

        name = f"gpu_upsample::{function.__name__}"
        made = torch.library.custom_op(name, run, mutates_args=(), schema=schema)
        made.register_fake(lambda *arguments: fake(*map(_as_tuple, arguments)))
        return made

    return register


# ---- interpolation --------------------------------------------------------------------------------------------
_SAMPLING = (
    "int[]? size, float[]? scale_factor, str mode, bool? align_corners, bool? recompute_scale_factor, bool antialias"
)


def _fake_interpolate(x: Tensor, *sampling: Any) -> Any:
    return _like_layout_of(x, _results(plan_interpolate, (x,), *sampling, "channels_first"), x.ndim - 2)


@_operator(f"(Tensor x, {_SAMPLING}) -> Tensor", _fake_interpolate)
def interpolate(x: Tensor, *sampling: Any) -> Tensor:
    """Resize the spatial axes of a batch; bytes in the integers in which torch does it."""
    resize = torch_uint8.interpolate if x.dtype == torch.uint8 else gu.interpolate
    return _in_its_layout(lambda x, data_format: resize(x, *sampling, data_format=data_format), x, x.ndim - 2)


@_operator(
    f"(Tensor grad, int[] input_size, {_SAMPLING}) -> Tensor",
    lambda grad, input_size, *sampling: _like_layout_of(grad, grad.new_empty(input_size), grad.ndim - 2),
)
def interpolate_backward(grad: Tensor, input_size: list[int], *sampling: Any) -> Tensor:
    """Return the gradient of `interpolate`."""

    def run(grad: Tensor, data_format: DataFormat) -> Any:
        first, second, *spatial = input_size
        size = (first, second, *spatial) if data_format == "channels_first" else (first, *spatial, second)
        return gu.interpolate_backward(grad, size, *sampling, data_format=data_format)

    return _in_its_layout(run, grad, grad.ndim - 2)


def _save_interpolate(ctx: Any, inputs: Any, output: Any) -> None:
    x, *ctx.sampling = inputs
    ctx.shape = tuple(x.shape)


def _interpolate_gradient(ctx: Any, grad: Tensor) -> Gradients:
    return (interpolate_backward(grad, ctx.shape, *ctx.sampling), *[None] * 6)


def _save_interpolate_backward(ctx: Any, inputs: Any, output: Any) -> None:
    _, _, *ctx.sampling = inputs


def _interpolate_backward_gradient(ctx: Any, grad: Tensor) -> Gradients:
    return (interpolate(grad, *ctx.sampling), *[None] * 7)


interpolate.register_autograd(_interpolate_gradient, setup_context=_save_interpolate)
interpolate_backward.register_autograd(_interpolate_backward_gradient, setup_context=_save_interpolate_backward)


# ---- resizing of any axes -------------------------------------------------------------------------------------
_RESIZING = (
    "int[]? size, float[]? scale, int[] axes, str[] method, bool antialias, str coordinates, str nearest_rounding, "
    "float cubic_coeff, str[] border, Scalar fill_value, float[]? box"
)
_RESIZING_NAMES = tuple(part.split()[1] for part in _RESIZING.split(", "))


def _resizing(given: tuple[Any, ...]) -> dict[str, Any]:
    """Return the arguments of an operator as those of `gpu_upsample.resize`; the edges of its boxes are one list."""
    named = dict(zip(_RESIZING_NAMES, given, strict=True))
    edges = named["box"]
    return named | {"box": None if edges is None else tuple(zip(edges[::2], edges[1::2], strict=True))}


def _fake_resize(x: Tensor, *given: Any) -> Any:
    named = _resizing(given)
    first = named.pop("fill_value"), named.pop("border")
    return _results(plan_resize, (x,), *first, *named.values())


@_operator(f"(Tensor x, {_RESIZING}) -> Tensor", _fake_resize)
def resize(x: Tensor, *given: Any) -> Any:
    """Resize any axes of a tensor."""
    return gu.resize(x, **_resizing(given))


@_operator(
    f"(Tensor grad, int[] input_size, {_RESIZING}) -> Tensor",
    lambda grad, input_size, *given: grad.new_empty(input_size),
)
def resize_backward(grad: Tensor, input_size: list[int], *given: Any) -> Any:
    """Return the gradient of `resize`."""
    return gu.resize_backward(grad, input_size, **_resizing(given))


def _save_resize(ctx: Any, inputs: Any, output: Any) -> None:
    x, *ctx.given = inputs
    ctx.shape = tuple(x.shape)


def _resize_gradient(ctx: Any, grad: Tensor) -> Gradients:
    return (resize_backward(grad, ctx.shape, *ctx.given), *[None] * len(ctx.given))


def _save_resize_backward(ctx: Any, inputs: Any, output: Any) -> None:
    _, _, *ctx.given = inputs


def _resize_backward_gradient(ctx: Any, grad: Tensor) -> Gradients:
    *others, _, box = ctx.given
    return (resize(grad, *others, 0, box), *[None] * (1 + len(ctx.given)))  # the constant of the border has no gradient


resize.register_autograd(_resize_gradient, setup_context=_save_resize)
resize_backward.register_autograd(_resize_backward_gradient, setup_context=_save_resize_backward)


# ---- pooling --------------------------------------------------------------------------------------------------
_WINDOWS = "int[] kernel_size, int[]? stride, int[] padding"
_POOLING = f"{_WINDOWS}, int[] dilation, bool ceil_mode"


def _of_rank(name: str, windows: tuple[Any, ...]) -> Callable[..., Any]:
    """Return the function for as many spatial axes as the windows have."""
    function: Callable[..., Any] = getattr(gu, name.format(len(windows[0])))
    return function


@_operator(
    f"(Tensor x, {_POOLING}) -> (Tensor, Tensor)",
    lambda x, *windows: _results(plan_max_pool, (x,), len(windows[0]), *windows, True),
)
def max_pool(x: Tensor, *windows: Any) -> tuple[Tensor, Tensor]:
    """Return the largest samples of windows, and their positions."""
    pair: tuple[Tensor, Tensor] = _of_rank("max_pool{}d", windows)(x, *windows, return_indices=True)
    return pair


@_operator(
    f"(Tensor grad, Tensor indices, int[] input_size, {_POOLING}) -> Tensor",
    lambda grad, indices, input_size, *windows: grad.new_empty(input_size),
)
def max_pool_backward(grad: Tensor, indices: Tensor, input_size: list[int], *windows: Any) -> Any:
    """Return the gradient of `max_pool`."""
    return _of_rank("max_pool{}d_backward", windows)(grad, indices, input_size, *windows)


def _save_max_pool(ctx: Any, inputs: Any, output: Any) -> None:
    x, *ctx.windows = inputs
    ctx.shape = tuple(x.shape)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1])


def _max_pool_gradient(ctx: Any, grad: Tensor, _: Any) -> Gradients:
    return (max_pool_backward(grad, *ctx.saved_tensors, ctx.shape, *ctx.windows), *[None] * 5)


def _save_max_pool_backward(ctx: Any, inputs: Any, output: Any) -> None:
    _, indices, _, kernel_size, *_ = inputs
    ctx.rank = len(kernel_size)
    ctx.save_for_backward(indices)


def _max_pool_backward_gradient(ctx: Any, grad: Tensor) -> Gradients:
    (indices,) = ctx.saved_tensors
    chosen = grad.flatten(-ctx.rank).gather(-1, indices.flatten(-ctx.rank)).view(indices.shape)
    return (chosen, *[None] * 7)


max_pool.register_autograd(_max_pool_gradient, setup_context=_save_max_pool)
max_pool_backward.register_autograd(_max_pool_backward_gradient, setup_context=_save_max_pool_backward)


def _fake_max_unpool(x: Tensor, indices: Tensor, *windows: Any) -> Any:
    return _results(plan_max_unpool, (x, indices), len(windows[0]), *windows, False)


@_operator(f"(Tensor x, Tensor indices, {_WINDOWS}, int[]? output_size) -> Tensor", _fake_max_unpool)
def max_unpool(x: Tensor, indices: Tensor, *windows: Any) -> Any:
    """Put pooled samples back where they were."""
    return _of_rank("max_unpool{}d", windows)(x, indices, *windows)


@_operator(
    f"(Tensor grad, Tensor indices, {_WINDOWS}) -> Tensor",
    lambda grad, indices, *windows: grad.new_empty(indices.shape),
)
def max_unpool_backward(grad: Tensor, indices: Tensor, *windows: Any) -> Any:
    """Return the gradient of `max_unpool`."""
    return _of_rank("max_unpool{}d_backward", windows)(grad, indices, tuple(indices.shape))


def _save_max_unpool(ctx: Any, inputs: Any, output: Any) -> None:
    _, indices, *windows, _ = inputs
    ctx.windows = windows
    ctx.save_for_backward(indices)


def _max_unpool_gradient(ctx: Any, grad: Tensor) -> Gradients:
    return (max_unpool_backward(grad, *ctx.saved_tensors, *ctx.windows), *[None] * 5)


def _save_max_unpool_backward(ctx: Any, inputs: Any, output: Any) -> None:
    grad, indices, *ctx.windows = inputs
    ctx.size = list(grad.shape[-len(ctx.windows[0]) :])
    ctx.save_for_backward(indices)


def _max_unpool_backward_gradient(ctx: Any, grad: Tensor) -> Gradients:
    return (max_unpool(grad, *ctx.saved_tensors, *ctx.windows, ctx.size), *[None] * 4)


max_unpool.register_autograd(_max_unpool_gradient, setup_context=_save_max_unpool)
max_unpool_backward.register_autograd(_max_unpool_backward_gradient, setup_context=_save_max_unpool_backward)


# ---- transposed convolution -----------------------------------------------------------------------------------
_CONVOLUTION = "int[] stride, int[] padding, int[] output_padding, int groups, int[] dilation, bool deterministic"


def _fake_conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any) -> Any:
    *sizes, deterministic = geometry
    rest = (len(sizes[0]), *sizes, "channels_first", "float32", deterministic)
    return _like_layout_of(x, _results(plan_conv_transpose, (x, weight, bias), *rest), len(sizes[0]))


@_operator(f"(Tensor x, Tensor weight, Tensor? bias, {_CONVOLUTION}) -> Tensor", _fake_conv_transpose)
def conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any) -> Tensor:
    """Spread every sample over the output."""
    *sizes, deterministic = geometry
    function = _of_rank("conv_transpose{}d", geometry)
    return _in_its_layout(
        lambda x, data_format: function(x, weight, bias, *sizes, data_format=data_format, deterministic=deterministic),
        x,
        len(sizes[0]),
    )


def _fake_conv_transpose_backward(grad: Tensor, x: Tensor, weight: Tensor, needs: Any, *geometry: Any) -> Any:
    groups = geometry[3]
    shapes = (x.shape, weight.shape, (weight.shape[1] * groups,))
    return tuple(grad.new_empty(shape if need else (0,)) for shape, need in zip(shapes, needs, strict=True))


@_operator(
    f"(Tensor grad, Tensor x, Tensor weight, bool[] needs, {_CONVOLUTION}) -> (Tensor, Tensor, Tensor)",
    _fake_conv_transpose_backward,
)
def conv_transpose_backward(grad: Tensor, x: Tensor, weight: Tensor, needs: Any, *geometry: Any) -> Any:
    """Return the gradients of `conv_transpose`; those that are not needed are empty."""
    *sizes, deterministic = geometry
    function = _of_rank("conv_transpose{}d_backward", geometry)
    found = function(grad, x, weight, *sizes, needs=needs, deterministic=deterministic)
    return tuple(grad.new_empty(0) if gradient is None else gradient for gradient in found)


def _save_conv_transpose(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, _, *ctx.geometry = inputs
    ctx.save_for_backward(x, weight)


def _conv_transpose_gradient(ctx: Any, grad: Tensor) -> Gradients:
    needs = list(ctx.needs_input_grad[:3])
    found = conv_transpose_backward(grad, *ctx.saved_tensors, needs, *ctx.geometry)
    return (*(gradient if need else None for gradient, need in zip(found, needs, strict=True)), *[None] * 6)


def _save_conv_transpose_backward(ctx: Any, inputs: Any, output: Any) -> None:
    grad, x, weight, ctx.needs, *ctx.geometry = inputs
    ctx.save_for_backward(grad, x, weight)


def _conv_transpose_backward_gradient(ctx: Any, for_x: Tensor, for_weight: Tensor, for_bias: Tensor) -> Gradients:
    """Return the gradients of the gradients: the map is linear in x and in weight, so they are its own kind."""
    grad, x, weight = ctx.saved_tensors
    x_given, weight_given, bias_given = ctx.needs
    grad_needs, x_needs, weight_needs = ctx.needs_input_grad[:3]
    parts = []
    if grad_needs:
        if x_given:
            parts.append(conv_transpose(for_x, weight, None, *ctx.geometry))
        if weight_given:
            parts.append(conv_transpose(x, for_weight, None, *ctx.geometry))
        if bias_given:
            rank = len(ctx.geometry[0])
            parts.append(for_bias.view(-1, *[1] * rank).expand_as(grad))
    for_grad = sum(parts[1:], start=parts[0]) if parts else None
    again_x = again_weight = None
    if x_needs and weight_given:
        again_x = conv_transpose_backward(grad, x, for_weight, [True, False, False], *ctx.geometry)[0]
    if weight_needs and x_given:
        again_weight = conv_transpose_backward(grad, for_x, weight, [False, True, False], *ctx.geometry)[1]
    return (for_grad, again_x, again_weight, *[None] * 7)


conv_transpose.register_autograd(_conv_transpose_gradient, setup_context=_save_conv_transpose)
conv_transpose_backward.register_autograd(
    _conv_transpose_backward_gradient, setup_context=_save_conv_transpose_backward
)


# ---- rearrangements: each other's gradients ---------------------------------------------------------------------
@_operator(
    "(Tensor x, int factor) -> Tensor",
    lambda x, factor: _results(plan_shuffle, (x,), factor, None, True),
)
def pixel_shuffle(x: Tensor, factor: int) -> Any:
    """Turn channels into pixels."""
    return gu.pixel_shuffle(x, factor)


@_operator(
    "(Tensor x, int factor) -> Tensor",
    lambda x, factor: _results(plan_shuffle, (x,), factor, None, False),
)
def pixel_unshuffle(x: Tensor, factor: int) -> Any:
    """Turn pixels into channels."""
    return gu.pixel_unshuffle(x, factor)


def _save_factor(ctx: Any, inputs: Any, output: Any) -> None:
    _, ctx.factor = inputs


pixel_shuffle.register_autograd(lambda ctx, grad: (pixel_unshuffle(grad, ctx.factor), None), setup_context=_save_factor)
pixel_unshuffle.register_autograd(lambda ctx, grad: (pixel_shuffle(grad, ctx.factor), None), setup_context=_save_factor)

_SLIDING = "int[] kernel_size, int[] dilation, int[] padding, int[] stride"


@_operator(
    f"(Tensor columns, int[] output_size, {_SLIDING}) -> Tensor",
    lambda columns, *windows: _results(plan_fold, (columns,), *windows, None),
)
def fold(columns: Tensor, *windows: Any) -> Any:
    """Add up overlapping windows."""
    return gu.fold(columns, *windows)


@_operator(
    f"(Tensor x, {_SLIDING}) -> Tensor",
    lambda x, *windows: _results(plan_unfold, (x,), *windows, None),
)
def unfold(x: Tensor, *windows: Any) -> Any:
    """Lay windows side by side."""
    return gu.unfold(x, *windows)


def _save_fold(ctx: Any, inputs: Any, output: Any) -> None:
    _, _, *ctx.windows = inputs


def _save_unfold(ctx: Any, inputs: Any, output: Any) -> None:
    x, *ctx.windows = inputs
    ctx.size = list(x.shape[-len(ctx.windows[0]) :])


fold.register_autograd(lambda ctx, grad: (unfold(grad, *ctx.windows), *[None] * 5), setup_context=_save_fold)
unfold.register_autograd(
    lambda ctx, grad: (fold(grad, ctx.size, *ctx.windows), *[None] * 4), setup_context=_save_unfold
)
