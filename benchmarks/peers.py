"""How each library is asked to compute a case: one table of peers, this package among them.

A peer has one builder per kind of work. A builder gets a case and its inputs, does once what need not be timed
(wrapping arrays, allocating the output where the library takes one), and returns the job to time; or None if
the library has no such operation. A library that is not installed is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import gpu_upsample as gu
from benchmarks.cases import (
    Call,
    Case,
    ConvTranspose,
    ConvTransposeBackward,
    Imitation,
    MaxPool,
    MaxPoolBackward,
    MaxUnpool,
    PixelShuffle,
    Resample,
    ResampleBackward,
)


@dataclass(frozen=True)
class Job:
    """A call to time.

    Attributes
    ----------
    run : callable
        Computes, into an output that was allocated before where the library allows that.
    read : callable
        Turns what `run` returned into an array in the layout of the case.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Any] = field(default=lambda result: result)


Builder = Callable[..., Job | None]
"""(case, input, and what else the operation takes) -> job."""


@dataclass(frozen=True)
class Peer:
    """A library.

    Attributes
    ----------
    name : str
        What tables call it.
    module : str
        What is imported to use it.
    builders : mapping
        Kind of work -> builder.
    places : tuple of str
        The backends of ours that it can be compared with.
    """

    name: str
    module: str
    builders: Mapping[type, Builder]
    places: tuple[str, ...] = ("cpu",)

    def missing(self, place: str) -> str | None:
        """Return why the library cannot take part, or None if it can."""
        top = self.module.partition(".")[0]
        if find_spec(top) is None:
            return "not installed"
        if top == "torch" and place == "cuda" and not import_module("torch").cuda.is_available():
            return "finds no CUDA device"
        return None


def _like(x: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Return an empty array of the library of `x`: NumPy or CuPy."""
    return import_module(type(x).__module__.partition(".")[0]).empty(shape, dtype or x.dtype)


# ---- this package -------------------------------------------------------------------------------------------
_MODES = {
    ("linear", 1): "linear",
    ("linear", 2): "bilinear",
    ("linear", 3): "trilinear",
    ("cubic", 2): "bicubic",
    ("nearest", 1): "nearest",
    ("nearest", 2): "nearest",
    ("nearest", 3): "nearest",
}
"""(method, rank) -> mode of `interpolate`."""


def _ours(case: Case, x: Any) -> Job:
    work, out = case.work, _like(x, case.shape_out)
    mode = _MODES.get((work.method, len(work.size)))
    if "N" in case.layout and mode is not None:
        options = {"mode": mode, "antialias": work.antialias, "data_format": _data_format(case)}
        return Job(lambda: gu.interpolate(x, work.size, out=out, **options))
    options = {
        "axes": case.spatial,
        "method": work.method,
        "antialias": work.antialias,
        "border": "renormalize" if work.antialias else "clamp",
        "cubic_coeff": work.cubic_coeff,
    }
    return Job(lambda: gu.resize(x, work.size, out=out, **options))


def _ours_backward(case: Case, grad: Any) -> Job:
    work, out = case.work, _like(grad, case.shape_out)
    options = {"mode": _MODES[work.method, len(work.size)], "data_format": _data_format(case)}
    return Job(lambda: gu.interpolate_backward(grad, case.shape_out, case.lengths, out=out, **options))


def _ours_call(case: Case, x: Any) -> Job:
    work = case.work
    mode = _MODES[work.method, len(work.size)]
    options = {"antialias": work.antialias, "data_format": _data_format(case)}
    return Job(lambda: gu.interpolate(x, work.size, mode=mode, **options))


def _ours_like(case: Case, x: Any) -> Job | None:
    return _IMITATIONS[case.work.library](case, x)


def _like_pillow(case: Case, x: Any) -> Job:
    pillow, size = import_module("gpu_upsample.compat.pillow"), case.work.size[::-1]
    resample = getattr(pillow, _PILLOW_FILTERS[case.work.method])
    return Job(lambda: pillow.resize(x, size, resample))


def _like_opencv(case: Case, x: Any) -> Job:
    opencv, size, out = import_module("gpu_upsample.compat.opencv"), case.work.size[::-1], _like(x, case.shape_out)
    flag = getattr(opencv, _OPENCV_FLAGS[case.work.method])
    return Job(lambda: opencv.resize(x, size, dst=out, interpolation=flag))


def _like_torch(case: Case, x: Any) -> Job:
    work, out = case.work, _like(x, case.shape_out)
    call = import_module("gpu_upsample.compat.torch_uint8").interpolate
    options = {"mode": _MODES[work.method, 2], "antialias": work.antialias, "data_format": _data_format(case)}
    return Job(lambda: call(x, work.size, out=out, **options))


def _spline(module: str) -> Builder:
    """Return the builder for `zoom` with a cubic spline: SciPy's, CuPy's and ours have the same signature."""

    def build(case: Case, x: Any) -> Job:
        zoom, out = import_module(module).ndimage.zoom, _like(x, case.shape_out)
        ratios = tuple(m / n for n, m in zip(case.shape, case.shape_out, strict=True))
        return Job(lambda: zoom(x, ratios, output=out, mode="mirror"), lambda _: out)

    return build


_IMITATIONS: Mapping[str, Callable[[Case, Any], Job | None]] = {
    "Pillow": _like_pillow,
    "OpenCV": _like_opencv,
    "SciPy": _spline("gpu_upsample.compat.scipy"),
    "torch": _like_torch,
}
"""Library -> builder for our function that gives its numbers."""


def _data_format(case: Case) -> str:
    return "channels_first" if case.layout[1] == "C" else "channels_last"


def _ours_conv_transpose(case: Case, x: Any, weight: Any, bias: Any) -> Job:
    work, out = case.work, _like(x, case.shape_out)
    call = getattr(gu, f"conv_transpose{len(case.lengths)}d")
    geometry = {"stride": work.stride, "padding": work.padding, "groups": work.groups}
    return Job(lambda: call(x, weight, bias, **geometry, data_format=_data_format(case), out=out))


def _ours_conv_transpose_backward(case: Case, x: Any, weight: Any, grad: Any) -> Job:
    work, out = case.work, (*map(_like, (x, weight), (x.shape, weight.shape)), _like(x, (case.work.channels,)))
    call = getattr(gu, f"conv_transpose{len(case.lengths)}d_backward")
    geometry = {"stride": work.stride, "padding": work.padding, "groups": work.groups}
    return Job(lambda: call(grad, x, weight, **geometry, data_format=_data_format(case), out=out))


def _ours_max_pool(case: Case, x: Any) -> Job:
    work, shape = case.work, case.shape_out
    out = _like(x, shape), _like(x, shape, "int64")
    return Job(lambda: gu.max_pool2d(x, work.kernel, work.stride, work.padding, return_indices=True, out=out))


def _ours_max_pool_backward(case: Case, grad: Any, indices: Any) -> Job:
    work, out = case.work, _like(grad, case.shape_out)
    windows = work.kernel, work.stride, work.padding
    return Job(lambda: gu.max_pool2d_backward(grad, indices, case.shape_out, *windows, out=out))


def _ours_max_unpool(case: Case, x: Any, indices: Any) -> Job:
    kernel, out = case.work.kernel, _like(x, case.shape_out)
    return Job(lambda: gu.max_unpool2d(x, indices, kernel, out=out))


def _ours_pixel_shuffle(case: Case, x: Any) -> Job:
    factor, out = case.work.factor, _like(x, case.shape_out)
    return Job(lambda: gu.pixel_shuffle(x, factor, out=out))


# ---- torch --------------------------------------------------------------------------------------------------
_TORCH_OPERATORS = {
    ("nearest", 2, False): "upsample_nearest2d",
    ("nearest", 3, False): "upsample_nearest3d",
    ("linear", 2, False): "upsample_bilinear2d",
    ("linear", 2, True): "_upsample_bilinear2d_aa",
    ("linear", 3, False): "upsample_trilinear3d",
    ("cubic", 2, False): "upsample_bicubic2d",
    ("cubic", 2, True): "_upsample_bicubic2d_aa",
    ("lanczos3", 2, True): "_upsample_lanczos2d_aa",
}
"""(method, rank, antialias) -> operator; `torch.nn.functional.interpolate` has no `out`."""


def _tensor(case: Case, array: Any) -> Any:
    """Return the array as a tensor of axes N, C and space, without copying: channels-last memory stays so."""
    torch = import_module("torch")
    if case.dtype == "bfloat16":  # DLPack of NumPy does not know it
        tensor = torch.from_dlpack(array.view("int16")).view(torch.bfloat16)
    else:
        tensor = torch.from_dlpack(array)
    tensor = tensor.permute([case.layout.index(letter) for letter in "NCDHW" if letter in case.layout])
    return tensor if "N" in case.layout else tensor[None]


def _torch(case: Case, x: Any) -> Job | None:
    work, out = case.work, _like(x, case.shape_out)
    operator = _TORCH_OPERATORS.get((work.method, len(work.size), work.antialias))
    if (
        operator is None
        or case.dtype == "uint16"
        or (work.method == "cubic" and work.cubic_coeff != (-0.5 if work.antialias else -0.75))
    ):
        return None
    call = getattr(import_module("torch").ops.aten, operator).out
    switches = () if work.method == "nearest" else (False,)  # align_corners
    scales = (None,) * len(work.size)
    source, target = _tensor(case, x), _tensor(case, out)
    return Job(lambda: call(source, work.size, *switches, *scales, out=target), lambda _: out)


def _torch_backward(case: Case, grad: Any) -> Job:
    work, out = case.work, _like(grad, case.shape_out)
    operator = _TORCH_OPERATORS[work.method, len(work.size), False] + "_backward"
    call = getattr(import_module("torch").ops.aten, operator).grad_input
    source, target = _tensor(case, grad), _tensor(case, out)
    switches = () if work.method == "nearest" else (False,)  # align_corners
    sizes = case.lengths, tuple(target.shape)
    return Job(lambda: call(source, *sizes, *switches, grad_input=target), lambda _: out)


def _torch_call(case: Case, x: Any) -> Job:
    work, source = case.work, _tensor(case, x)
    call, mode = import_module("torch").nn.functional.interpolate, _MODES[work.method, len(work.size)]
    return Job(
        lambda: call(source, work.size, mode=mode, antialias=work.antialias), lambda result: _array(case, result)
    )


def _array(case: Case, tensor: Any) -> Any:
    """Return a tensor as an array in the layout of the case: what `_tensor` undoes."""
    axes = [letter for letter in "NCDHW" if letter in case.layout]
    return _plain(tensor.permute([axes.index(letter) for letter in case.layout]))


def _torch_conv_transpose(case: Case, x: Any, weight: Any, bias: Any) -> Job:
    torch, work = import_module("torch"), case.work
    torch.backends.cudnn.allow_tf32 = False  # ours does not round the factors either
    call = getattr(torch.nn.functional, f"conv_transpose{len(case.lengths)}d")
    tensors = _tensor(case, x), torch.from_dlpack(weight), torch.from_dlpack(bias)
    geometry = {"stride": work.stride, "padding": work.padding, "groups": work.groups}
    return Job(lambda: call(*tensors, **geometry), lambda result: _array(case, result))


def _torch_conv_transpose_backward(case: Case, x: Any, weight: Any, grad: Any) -> Job:
    torch, work, rank = import_module("torch"), case.work, len(case.lengths)
    torch.backends.cudnn.allow_tf32 = False
    call = torch.ops.aten.convolution_backward
    tensors = _tensor(case, grad), _tensor(case, x), torch.from_dlpack(weight)
    stride, padding, none, one = ([number] * rank for number in (work.stride, work.padding, 0, 1))
    geometry = [work.channels], stride, padding, one, True, none, work.groups, [True] * 3
    return Job(lambda: call(*tensors, *geometry), lambda result: (_array(case, result[0]), *map(_plain, result[1:])))


def _plain(tensor: Any) -> Any:
    """Return a tensor as an array."""
    return import_module("cupy").from_dlpack(tensor) if tensor.is_cuda else tensor.numpy()


def _torch_max_pool(case: Case, x: Any) -> Job:
    work, shape = case.work, case.shape_out
    call = import_module("torch").ops.aten.max_pool2d_with_indices.out
    values, indices = _like(x, shape), _like(x, shape, "int64")
    source, targets = _tensor(case, x), {"out": _tensor(case, values), "indices": _tensor(case, indices)}
    windows = [work.kernel] * 2, [work.stride] * 2, [work.padding] * 2
    return Job(lambda: call(source, *windows, **targets), lambda _: (values, indices))


def _torch_max_pool_backward(case: Case, grad: Any, indices: Any) -> Job:
    work, out = case.work, _like(grad, case.shape_out)
    call = import_module("torch").ops.aten.max_pool2d_with_indices_backward.grad_input
    source, places, target = (_tensor(case, array) for array in (grad, indices, out))
    windows = [work.kernel] * 2, [work.stride] * 2, [work.padding] * 2, [1, 1], False
    pooled = import_module("torch").empty_like(target)  # of which only the shape is looked at
    return Job(lambda: call(source, pooled, *windows, places, grad_input=target), lambda _: out)


def _torch_max_unpool(case: Case, x: Any, indices: Any) -> Job:
    call = import_module("torch").ops.aten.max_unpool2d.out
    out = _like(x, case.shape_out)
    source, places, target = (_tensor(case, array) for array in (x, indices, out))
    return Job(lambda: call(source, places, case.lengths_out, out=target), lambda _: out)


def _torch_pixel_shuffle(case: Case, x: Any) -> Job:
    call, source, factor = import_module("torch").pixel_shuffle, _tensor(case, x), case.work.factor
    return Job(lambda: call(source, factor), lambda result: _array(case, result))


# ---- image libraries ----------------------------------------------------------------------------------------
_OPENCV_FLAGS = {
    "nearest": "INTER_NEAREST",
    "linear": "INTER_LINEAR",
    "cubic": "INTER_CUBIC",
    "lanczos4": "INTER_LANCZOS4",
    "area": "INTER_AREA",
}


def _opencv(case: Case, x: Any) -> Job | None:
    work = case.work
    if (
        case.layout != "HWC"
        or work.method not in _OPENCV_FLAGS
        or work.antialias
        or (work.method == "cubic" and work.cubic_coeff != -0.75)
    ):
        return None
    cv2 = import_module("cv2")
    out, size, flag = _like(x, case.shape_out), work.size[::-1], getattr(cv2, _OPENCV_FLAGS[work.method])
    return Job(lambda: cv2.resize(x, size, dst=out, interpolation=flag))


_PILLOW_FILTERS = {"linear": "BILINEAR", "cubic": "BICUBIC", "lanczos3": "LANCZOS"}


def _pillow(case: Case, x: Any) -> Job | None:
    work = case.work
    if case.layout != "HWC" or case.dtype != "uint8" or case.shape[-1] != 3:
        return None
    image_module, to_array = import_module("PIL.Image"), import_module("numpy").asarray
    image, size = image_module.fromarray(x), work.size[::-1]
    if work.method == "area" and case.shrinks_evenly:
        factors = tuple(n // m for n, m in zip(image.size, size, strict=True))
        return Job(lambda: image.reduce(factors), to_array)
    # It always stretches the filter and renormalises at the border; enlarging linearly, that changes nothing.
    same = work.antialias or (work.method == "linear" and case.enlarges_evenly)
    if work.method not in _PILLOW_FILTERS or not same or (work.method == "cubic" and work.cubic_coeff != -0.5):
        return None
    resample = getattr(image_module.Resampling, _PILLOW_FILTERS[work.method])
    return Job(lambda: image.resize(size, resample), to_array)


def _original(library: str, build: Builder) -> Builder:
    """Return the builder of a library for the cases that give its numbers."""
    return lambda case, x: build(case, x) if case.work.library == library else None


_SPLINE_ORDERS = {"nearest": 0, "linear": 1}
"""Method -> spline order of SciPy and its kin; from order 2 on they interpolate by another definition."""


def _spline_order(case: Case) -> int | None:
    work = case.work
    order = _SPLINE_ORDERS.get(work.method)
    if work.antialias or (order == 0 and not case.enlarges_evenly) or case.dtype != "float32":
        return None
    return order


def _skimage(case: Case, x: Any) -> Job | None:
    order = _spline_order(case)
    if case.layout != "HWC" or order is None:
        return None
    resize, shape = import_module("skimage.transform").resize, case.shape_out
    options = {"mode": "edge", "anti_aliasing": False, "preserve_range": True}
    return Job(lambda: resize(x, shape, order, **options))


def _ndimage(module: str) -> Builder:
    """Return the builder for SciPy's `zoom`, and for CuPy's of the same signature."""

    def build(case: Case, x: Any) -> Job | None:
        order = _spline_order(case)
        if order is None:
            return None
        zoom, out = import_module(module).zoom, _like(x, case.shape_out)
        ratios = tuple(m / n for n, m in zip(case.shape, case.shape_out, strict=True))
        options = {"order": order, "mode": "nearest", "prefilter": False, "grid_mode": True}
        return Job(lambda: zoom(x, ratios, output=out, **options), lambda _: out)

    return build


def _naive(case: Case, x: Any) -> Job | None:
    work, out = case.work, _like(x, case.shape_out)
    if case.layout != "NCHW" or work.method != "linear" or work.antialias or case.dtype != "float32":
        return None
    wrap = import_module("numba.cuda").as_cuda_array
    planes = wrap(x.reshape(-1, *case.lengths)), wrap(out.reshape(-1, *case.lengths_out))
    return Job(import_module("benchmarks.naive").launcher(*planes), lambda _: out)


_OURS: Mapping[type, Builder] = {
    Resample: _ours,
    ResampleBackward: _ours_backward,
    Call: _ours_call,
    Imitation: _ours_like,
    ConvTranspose: _ours_conv_transpose,
    ConvTransposeBackward: _ours_conv_transpose_backward,
    MaxPool: _ours_max_pool,
    MaxPoolBackward: _ours_max_pool_backward,
    MaxUnpool: _ours_max_unpool,
    PixelShuffle: _ours_pixel_shuffle,
}
_TORCH: Mapping[type, Builder] = {
    Resample: _torch,
    ResampleBackward: _torch_backward,
    Call: _torch_call,
    Imitation: _original("torch", _torch),
    ConvTranspose: _torch_conv_transpose,
    ConvTransposeBackward: _torch_conv_transpose_backward,
    MaxPool: _torch_max_pool,
    MaxPoolBackward: _torch_max_pool_backward,
    MaxUnpool: _torch_max_unpool,
    PixelShuffle: _torch_pixel_shuffle,
}

OURS = Peer("gpu_upsample", "gpu_upsample", _OURS, ("cpu", "cuda"))

PEERS: tuple[Peer, ...] = (
    Peer("torch", "torch", _TORCH, ("cpu", "cuda")),
    Peer("OpenCV", "cv2", {Resample: _opencv, Imitation: _original("OpenCV", _opencv)}),
    Peer("Pillow", "PIL", {Resample: _pillow, Imitation: _original("Pillow", _pillow)}),
    Peer("scikit-image", "skimage", {Resample: _skimage}),
    Peer("SciPy", "scipy", {Resample: _ndimage("scipy.ndimage"), Imitation: _original("SciPy", _spline("scipy"))}),
    Peer(
        "cupyx",
        "cupyx",
        {Resample: _ndimage("cupyx.scipy.ndimage"), Imitation: _original("SciPy", _spline("cupyx.scipy"))},
        ("cuda",),
    ),
    Peer("naive kernel", "numba.cuda", {Resample: _naive}, ("cuda",)),
)
"""The table."""
