"""Every bad argument is named in its error, with what was got and what is accepted; `out` stays as it was."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import subprocess
import sys
from enum import Enum
from typing import Any

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample import dispatch
from gpu_upsample.compat import jax, keras, onnx, opencv, paddle, pillow, scipy, tensorflow
from gpu_upsample.plan import shapes, taps

IMAGE = np.zeros((1, 2, 4, 6))
NAN, INFINITY = float("nan"), float("inf")
HUGE = 10**400

# (arguments, exception, parts of the message)
INTERPOLATE: list[tuple[dict[str, Any], type[Exception], list[str]]] = [
    ({}, ValueError, ["size", "scale_factor", "neither"]),
    ({"size": 3, "scale_factor": 2}, ValueError, ["size=3", "scale_factor=2", "exactly one"]),
    ({"size": (3, 4, 5)}, ValueError, ["size", "(3, 4, 5)", "2"]),
    ({"size": ()}, ValueError, ["size", "()", "2"]),
    ({"size": 0}, ValueError, ["size=0", "between 1 and"]),
    ({"size": (3, -1)}, ValueError, ["size=(3, -1)", "between 1 and"]),
    ({"size": 2**31}, ValueError, ["size=2147483648", "between 1 and 2147483647"]),
    ({"size": HUGE}, ValueError, ["size=", "between 1 and 2147483647"]),
    ({"size": 3.0}, TypeError, ["size", "3.0", "integer"]),
    ({"size": True}, TypeError, ["size", "True", "integer"]),
    ({"size": (3, None)}, TypeError, ["size", "None", "integer"]),
    ({"size": "3"}, TypeError, ["size", "'3'", "integer"]),
    ({"size": b"34"}, TypeError, ["size", "b'34'", "integer"]),
    ({"size": np.float32}, TypeError, ["size", "float32", "integer"]),
    ({"size": {"a": 3, "b": 4}}, TypeError, ["size", "'a'", "integer"]),
    ({"scale_factor": 0}, ValueError, ["scale_factor", "0", "positive"]),
    ({"scale_factor": -2.0}, ValueError, ["scale_factor", "-2.0", "positive"]),
    ({"scale_factor": NAN}, ValueError, ["scale_factor", "nan", "finite"]),
    ({"scale_factor": (2, INFINITY)}, ValueError, ["scale_factor", "inf", "finite"]),
    ({"scale_factor": 1e300}, ValueError, ["scale_factor=1e+300", "between 1 and"]),
    ({"scale_factor": 1e308}, ValueError, ["scale_factor=1e+308", "between 1 and"]),
    ({"scale_factor": HUGE}, ValueError, ["scale_factor", "finite"]),
    ({"scale_factor": 0.1}, ValueError, ["scale_factor=0.1", "(0, 0)", "(4, 6)"]),
    ({"scale_factor": (2, 2, 2)}, ValueError, ["scale_factor", "(2, 2, 2)", "2"]),
    ({"scale_factor": "2"}, TypeError, ["scale_factor", "'2'", "number"]),
    ({"scale_factor": True}, TypeError, ["scale_factor", "True", "number"]),
    ({"scale_factor": 2j}, TypeError, ["scale_factor", "2j", "number"]),
    ({"size": 3, "mode": "bilinearr"}, ValueError, ["mode", "'bilinearr'", "'bilinear'", "'nearest'", "'lanczos'"]),
    ({"size": 3, "mode": None}, ValueError, ["mode", "None", "'bilinear'"]),
    ({"size": 3, "mode": {}}, ValueError, ["mode", "{}", "'bilinear'"]),
    ({"size": 3, "mode": "linear"}, ValueError, ["'linear'", "(1, 2, 4, 6)", "'bilinear'"]),
    ({"size": 3, "mode": "trilinear"}, ValueError, ["'trilinear'", "(1, 2, 4, 6)", "'bilinear'"]),
    ({"size": 3, "align_corners": True}, ValueError, ["align_corners", "'nearest'", "True"]),
    ({"size": 3, "mode": "area", "align_corners": False}, ValueError, ["align_corners", "'area'", "False"]),
    ({"size": 3, "antialias": True}, ValueError, ["antialias", "'nearest'", "'bilinear'"]),
    ({"size": 3, "mode": "bilinear", "antialias": "no"}, TypeError, ["antialias", "'no'", "True or False"]),
    ({"size": 3, "mode": "bilinear", "align_corners": 1}, TypeError, ["align_corners", "1", "True or False"]),
    ({"scale_factor": 2, "recompute_scale_factor": 0}, TypeError, ["recompute_scale_factor", "0", "True or False"]),
    ({"size": 3, "recompute_scale_factor": True}, ValueError, ["recompute_scale_factor", "scale_factor", "size"]),
    ({"size": 3, "data_format": "NHWC"}, ValueError, ["data_format", "'NHWC'", "'channels_last'"]),
    ({"size": 3, "backend": "gpu"}, ValueError, ["backend", "'gpu'", "'cpu'", "'cuda'", "'auto'"]),
    ({"size": 3, "backend": ["cpu"]}, ValueError, ["backend", "['cpu']", "'cpu'"]),
    ({"size": 3, "backend": np.array(["cpu", "x"])}, ValueError, ["backend", "'cpu'"]),
]

RESIZE: list[tuple[dict[str, Any], type[Exception], list[str]]] = [
    ({"axes": (2, 3)}, ValueError, ["size", "scale", "neither"]),
    ({}, ValueError, ["size", "scale", "neither"]),
    ({"size": 3, "scale": 2, "axes": 3}, ValueError, ["size=3", "scale=2", "exactly one"]),
    ({"size": (3, 4)}, ValueError, ["axes must be given", "rank 4", "(3, 4)"]),
    ({"scale": 2}, ValueError, ["axes must be given", "rank 4", "scale=2"]),
    ({"size": 3, "axes": 4}, ValueError, ["axes", "4", "[-4, 4)"]),
    ({"size": 3, "axes": (2, -5)}, ValueError, ["axes", "(2, -5)", "[-4, 4)"]),
    ({"size": 3, "axes": (2, -2)}, ValueError, ["axes", "(2, -2)", "twice"]),
    ({"size": 3, "axes": ()}, ValueError, ["axes", "()", "at least one"]),
    ({"size": 3, "axes": 2, "antialias": 1}, TypeError, ["antialias", "1", "True or False"]),
    ({"size": 3, "axes": 1.0}, TypeError, ["axes", "1.0", "integer"]),
    ({"size": (3, 4, 5), "axes": (2, 3)}, ValueError, ["size", "(3, 4, 5)", "2"]),
    ({"scale": (2, 0), "axes": (2, 3)}, ValueError, ["scale", "0", "positive"]),
    ({"scale": 1e308, "axes": 2}, ValueError, ["scale=1e+308", "between 1 and"]),
    ({"size": 3, "axes": 2, "method": "bilinear"}, ValueError, ["method", "'bilinear'", "'linear'", "'lanczos5'"]),
    ({"size": 3, "axes": 2, "method": ("linear", "area")}, ValueError, ["method", "('linear', 'area')", "1"]),
    ({"size": 3, "axes": 2, "method": 3}, ValueError, ["method", "3", "'linear'"]),
    ({"size": 3, "axes": 2, "coordinates": "centre"}, ValueError, ["coordinates", "'centre'", "'half_pixel'"]),
    ({"size": 3, "axes": 2, "border": "circular"}, ValueError, ["border", "'circular'", "'clamp'", "'extrapolate'"]),
    ({"size": 3, "axes": 2, "border": ("clamp", "wrap")}, ValueError, ["border", "('clamp', 'wrap')", "1"]),
    ({"size": 3, "axes": 2, "nearest_rounding": "up"}, ValueError, ["nearest_rounding", "'up'", "'ceil'"]),
    ({"size": 3, "axes": 2, "cubic_coeff": "x"}, TypeError, ["cubic_coeff", "'x'", "number"]),
    ({"size": 3, "axes": 2, "cubic_coeff": NAN}, ValueError, ["cubic_coeff", "nan", "finite"]),
    ({"size": 3, "axes": 2, "method": "nearest", "antialias": True}, ValueError, ["antialias", "'nearest'"]),
    (
        {"size": 3, "axes": 2, "method": "area", "coordinates": "asymmetric"},
        ValueError,
        ["'area'", "coordinates", "'half_pixel'", "'asymmetric'"],
    ),
    ({"size": 3, "axes": 2, "border": "constant", "fill_value": "0"}, TypeError, ["fill_value", "'0'", "number"]),
    ({"size": 3, "axes": 2, "border": "constant", "fill_value": 1j}, TypeError, ["fill_value", "1j", "number"]),
    ({"size": 3, "axes": 2, "fill_value": "0"}, TypeError, ["fill_value", "'0'", "number"]),
    ({"size": {3, 4}, "axes": (1, 2)}, TypeError, ["size", "{3, 4}", "integer"]),
    ({"size": {3: 4}, "axes": 2}, TypeError, ["size", "{3: 4}", "integer"]),
    ({"size": 3, "axes": {2}}, TypeError, ["axes", "{2}", "integer"]),
    ({"size": 3, "axes": 2, "box": 3}, TypeError, ["box", "3", "pair"]),
    ({"size": 3, "axes": 2, "box": [(0, 1), (0, 1)]}, ValueError, ["box", "(0, 1)", "pair"]),
    ({"size": 3, "axes": 2, "box": [(0, 1, 2)]}, ValueError, ["box", "(0, 1, 2)", "pair"]),
    ({"size": 3, "axes": 2, "box": [(2, 2)]}, ValueError, ["box", "(2, 2)", "start < stop"]),
    ({"size": 3, "axes": 2, "box": [(2, NAN)]}, ValueError, ["box", "nan", "finite"]),
    ({"size": 3, "axes": 2, "box": [(0, 2**40)]}, ValueError, ["box", str(2**40), "2147483647"]),
    ({"size": 3, "axes": 2, "box": [(0, "1")]}, TypeError, ["box", "'1'", "number"]),
    (
        {"size": 3, "axes": 2, "box": [(0, 0.5)], "coordinates": "align_corners"},
        ValueError,
        ["box", "0.5", "one pixel", "'align_corners'"],
    ),
]

# (array, parts of the message): bad for both operators
WRONG_KINDS: list[tuple[Any, list[str]]] = [
    ([[[[1.0]]]], ["x", "builtins.list", "NumPy", "torch tensor", "pass np.asarray(x)"]),
    (None, ["x", "NoneType", "NumPy", "__dlpack__; got"]),
    (3.0, ["x", "builtins.float", "NumPy", "pass np.asarray(x)"]),
    (IMAGE.astype(object), ["dtype", "object", "float32"]),
    (IMAGE.astype(str).astype(np.dtypes.StringDType()), ["dtype", "StringDType", "float32"]),
    (IMAGE.astype("datetime64[s]"), ["dtype", "datetime64", "float32"]),
    (IMAGE.astype("S3"), ["dtype", "S3", "float32"]),
    (np.zeros((1, 1, 2, 2), np.longdouble), ["dtype", str(np.dtype(np.longdouble)), "float64"]),
    (np.zeros((1, 1, 2, 2), [("a", "f4")]), ["dtype", "a", "float32"]),
]


def assert_refused(
    call: Any, x: Any, arguments: dict[str, Any], exception: type[Exception], parts: list[str], out: Any
) -> None:
    before = out.copy()
    with pytest.raises(exception) as caught:
        call(x, out=out, **arguments)
    assert type(caught.value) is exception
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message
    assert np.array_equal(out, before)


def identify(value: Any) -> str | None:
    if isinstance(value, dict):
        return ",".join(f"{k}={str(v)[:20]}" for k, v in value.items()) or "nothing"
    return "" if isinstance(value, list | type) else None


@pytest.mark.parametrize(("arguments", "exception", "parts"), INTERPOLATE, ids=identify)
def test_interpolate(arguments: dict[str, Any], exception: type[Exception], parts: list[str]) -> None:
    assert_refused(gu.interpolate, IMAGE, arguments, exception, parts, np.full((1, 2, 3, 3), 7.0))


@pytest.mark.parametrize(("arguments", "exception", "parts"), RESIZE, ids=identify)
def test_resize(arguments: dict[str, Any], exception: type[Exception], parts: list[str]) -> None:
    assert_refused(gu.resize, IMAGE, arguments, exception, parts, np.full((1, 2, 3, 6), 7.0))


@pytest.mark.parametrize(("x", "parts"), WRONG_KINDS, ids=lambda value: type(value).__name__)
def test_kind_of_array(x: Any, parts: list[str]) -> None:
    out = np.full((1, 2, 3, 3), 7.0)
    assert_refused(gu.interpolate, x, {"size": 3}, TypeError, parts, out)
    assert_refused(gu.resize, x, {"size": 3, "axes": 2}, TypeError, parts, out)


def test_an_image_object_is_told_of_what_takes_it() -> None:
    images = pytest.importorskip("PIL.Image")
    with pytest.raises(TypeError, match=r"pass np\.asarray\(x\), or use gpu_upsample\.compat\.pillow.*got PIL\."):
        gu.resize(images.new("L", (4, 4)), (3, 3))


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (1, 1, 2, 2, 2, 2)], ids=str)
def test_rank_of_interpolate(shape: tuple[int, ...]) -> None:
    parts = ["x must have 3, 4 or 5 axes", str(shape), "resize"]
    assert_refused(gu.interpolate, np.zeros(shape), {"size": 3}, ValueError, parts, np.zeros(3))


def test_resize_of_a_scalar_array() -> None:
    assert_refused(gu.resize, np.array(1.0), {"size": 3}, ValueError, ["x", "0-d"], np.zeros(3))


@pytest.mark.parametrize("arguments", [{"size": 3}, {"scale_factor": 2}])
@pytest.mark.parametrize("shape", [(1, 2, 0, 6), (1, 2, 4, 0), (0, 2, 0, 6)], ids=str)
def test_empty_spatial_axis(shape: tuple[int, ...], arguments: dict[str, Any]) -> None:
    assert_refused(gu.interpolate, np.zeros(shape), arguments, ValueError, ["empty", str(shape[2:])], np.zeros(3))


@pytest.mark.parametrize(
    ("dtype", "fill", "accepted"),
    [
        ("uint8", 256, "0 and 255"),
        ("uint8", -1, "0 and 255"),
        ("int8", 0.5, "-128 and 127"),
        ("int64", 2**63, str(2**63 - 1)),
        ("uint64", -1, str(2**64 - 1)),
        ("int16", NAN, "-32768 and 32767"),
        ("uint16", INFINITY, "0 and 65535"),
        ("bool", 2, "0 and 1"),
        ("complex64", 1.0, "0"),
        ("uint8", HUGE, "0 and 255"),
    ],
)
def test_fill_value_of_a_dtype(dtype: str, fill: Any, accepted: str) -> None:
    arguments = {"size": 3, "border": "constant", "fill_value": fill}
    parts = ["fill_value", str(fill), accepted, dtype]
    assert_refused(gu.resize, np.zeros(4, dtype), arguments, ValueError, parts, np.zeros(3, dtype))


@pytest.mark.parametrize("call", [gu.interpolate, gu.resize])
def test_errors_do_not_depend_on_earlier_calls(call: Any) -> None:
    """2, 2.0 and True are equal, and one key of a dictionary."""
    x = np.zeros((1, 1, 4))
    axes = {"axes": 2} if call is gu.resize else {}
    for good, bad in [(8, 8.0), (1, True), ((8,), (8.0,)), ([1], [True])]:
        call(x, size=good, **axes)
        with pytest.raises(TypeError, match="size must be an integer"):
            call(x, size=bad, **axes)


@pytest.mark.parametrize(
    ("call", "arguments", "nearest"),
    [
        (gu.resize, {"axes": 2, "method": "bilinear"}, "'linear'"),
        (gu.resize, {"axes": 2, "method": "bicubic"}, "'cubic'"),
        (gu.resize, {"axes": 2, "method": "Nearest"}, "'nearest'"),
        (gu.resize, {"axes": 2, "method": "lanczos"}, "'lanczos2' or 'lanczos3' or 'lanczos4' or 'lanczos5'"),
        (gu.resize, {"axes": 2, "border": "constants"}, "'constant'"),
        (gu.resize, {"axes": 2, "coordinates": "half-pixel"}, "'half_pixel'"),
        (gu.resize, {"axes": 2, "nearest_rounding": "prefer_ceil"}, "'round_prefer_ceil'"),
        (gu.interpolate, {"mode": "lanczos3"}, "'lanczos'"),
        (gu.interpolate, {"mode": "nearest_exact"}, "'nearest-exact'"),
        (gu.interpolate, {"mode": "linear"}, "'bilinear'"),
        (gu.interpolate, {"data_format": "channel_last"}, "'channels_last'"),
        (gu.compat.paddle.interpolate, {"mode": "cubic"}, "'bicubic'"),
    ],
    ids=identify,
)
def test_an_unknown_name_is_answered_with_the_nearest(call: Any, arguments: dict[str, Any], nearest: str) -> None:
    parts = [f"; did you mean {nearest}?"]
    assert_refused(call, IMAGE, {"size": 3, **arguments}, ValueError, parts, np.full((1, 2, 3, 6), 7.0))


def test_a_name_like_no_other_is_not_taken_for_one() -> None:
    with pytest.raises(ValueError, match=r"got 'foo'$"):
        gu.interpolate(IMAGE, 3, mode="foo")


# ---- what stands for something else ----------------------------------------------------------------------------
PLANE, BYTES = np.zeros((4, 5)), np.zeros((4, 4, 3), np.uint8)
BATCH, ONE = np.zeros((1, 1, 4, 4)), np.ones((1, 1, 2, 2))

OTHERWISE: dict[str, tuple[Any, type[Exception], str]] = {
    "one scale too many": (
        lambda: gu.bilinear_weight(1, (2, 2, 2, 2)),
        ValueError,
        "scale must have one to three .*2, 2",
    ),
    "no scale": (lambda: gu.bilinear_weight(1, ()), ValueError, "scale must have one to three entries"),
    "huge scale": (lambda: gu.bilinear_weight(1, 2**62), ValueError, "scale must be at most 2147483647, got 46116860"),
    "large scales": (lambda: gu.bilinear_weight(1, 2**30), ValueError, "would have .* bytes"),
    "no channels": (lambda: gu.bilinear_weight(0, 2), ValueError, "channels must be positive, got 0"),
    "no dtype": (lambda: gu.bilinear_weight(1, 2, None), TypeError, "dtype must be one of float16, .*; got None"),
    "integers": (lambda: gu.bilinear_weight(1, 2, "int8"), TypeError, "dtype must be one of float16, .*; got 'int8'"),
    "size of a set": (lambda: gu.resize(PLANE, {3, 4}), TypeError, r"size must be an integer, got \{3, 4\}"),
    "size of text": (lambda: gu.resize(PLANE, "44"), TypeError, "size must be an integer, got '44'"),
    "scale of text": (lambda: gu.resize(PLANE, scale="2"), TypeError, "scale must be a number, got '2'"),
    "x of objects": (
        lambda: gu.resize(PLANE.astype(object), 3),
        TypeError,
        "x must have one of the dtypes .*; got object",
    ),
    "no axes": (lambda: gu.pixel_shuffle(BATCH, ()), ValueError, r"got 0 from upscale_factor=\(\), ndim=None"),
    "huge shuffle": (
        lambda: gu.pixel_shuffle(np.broadcast_to(np.float32(0), (4, 2**24, 2**24)), 2),
        ValueError,
        r"\(1, 33554432, 33554432\) and dtype float32 would have",
    ),
    "needs": (
        lambda: gu.conv_transpose2d_backward(BATCH, BATCH, ONE, needs=np.array([True, False])),
        ValueError,
        "needs must be three booleans",
    ),
    "factor of a layer": (lambda: gu.nn.PixelShuffle(2**40), ValueError, "upscale_factor must be at most 2147483647"),
    "size of a layer": (
        lambda: gu.nn.Upsample(2**40),
        ValueError,
        "size must be at most 2147483647, got 1099511627776",
    ),
    "padding of a layer": (
        lambda: gu.nn.ConvTranspose2d(1, 1, 1, padding=2**40),
        ValueError,
        "padding must be at most",
    ),
    "kernel of a layer": (lambda: gu.nn.MaxPool2d(2**31), ValueError, "kernel_size must be at most 2147483647"),
    "dtype of a layer": (
        lambda: gu.nn.ConvTranspose2d(1, 1, 1, dtype="junk"),
        TypeError,
        "dtype must be one of .*'junk'",
    ),
    "bias of a layer": (
        lambda: gu.nn.ConvTranspose2d(1, 1, 1, bias="yes"),
        TypeError,
        "bias must be an array or numbers: could not convert string to float: .*'yes'",
    ),
    "input of a layer": (
        lambda: gu.nn.ConvTranspose2d(1, 1, 3)(np.zeros(3, np.float32), output_size=(6, 6)),
        ValueError,
        "x of conv_transpose2d must have 4 axes",
    ),
    "jax: text for a flag": (
        lambda: jax.image.resize(PLANE, (5, 5), "linear", "False"),
        TypeError,
        "antialias must be True or False, got 'False'",
    ),
    "jax: None for a flag": (
        lambda: jax.image.scale_and_translate(PLANE, (5, 5), (0,), (1.0,), (0.0,), "linear", None),
        TypeError,
        "antialias must be True or False, got None",
    ),
    "jax: axes": (
        lambda: jax.image.scale_and_translate(PLANE, (5, 5), (2,), (1.0,), (0.0,), "linear"),
        ValueError,
        r"spatial_dims must lie in \[-2, 2\)",
    ),
    "tensorflow: ratio": (
        lambda: tensorflow.image.resize(BYTES, (2, 2), preserve_aspect_ratio="no"),
        TypeError,
        "preserve_aspect_ratio must be True or False, got 'no'",
    ),
    "tensorflow: antialias": (
        lambda: tensorflow.image.resize(BYTES, (2, 2), antialias="no"),
        TypeError,
        "antialias must be True or False, got 'no'",
    ),
    "keras: bias": (lambda: keras.Conv2DTranspose(1, 3, use_bias="False"), TypeError, "use_bias must be True or False"),
    "keras: padding": (
        lambda: keras.Conv2DTranspose(1, 3, padding="Causal"),
        ValueError,
        "padding must .*got 'Causal'",
    ),
    "keras: kernel": (lambda: keras.Conv2DTranspose(1, 2**40), ValueError, "kernel_size must be at most 2147483647"),
    "keras: no shape": (lambda: keras.Conv2DTranspose(1, 3).build(()), ValueError, r"input_shape must have 4 .*\(\)"),
    "keras: number": (
        lambda: keras.Conv2DTranspose(1, 3).build(3),
        ValueError,
        "input_shape must have 4 entries, got 3",
    ),
    "keras: negative": (
        lambda: keras.Conv2DTranspose(1, 3).build((1, 4, 4, -2)),
        ValueError,
        "input_shape must have at least one channel, got",
    ),
    "keras: weights": (
        lambda: keras.Conv2DTranspose(1, 3).set_weights(3),
        ValueError,
        "weights must be kernel and bias",
    ),
    "keras: input": (lambda: keras.UpSampling2D(2)([[1.0]]), TypeError, r"x must be a NumPy, .*pass np\.asarray\(x\)"),
    "paddle: recomputed": (
        lambda: paddle.interpolate(BATCH, scale_factor=2, recompute_scale_factor="no"),
        TypeError,
        "recompute_scale_factor must be True or False, got 'no'",
    ),
    "paddle: align_mode": (
        lambda: paddle.interpolate(BATCH, 2, align_mode=True),
        TypeError,
        "align_mode must be an int",
    ),
    "paddle: format": (
        lambda: paddle.interpolate(BATCH, 2, data_format="channels_last"),
        ValueError,
        "data_format must be one of 'NCHW', 'NHWC'; got 'channels_last'",
    ),
    "paddle: mode": (lambda: paddle.interpolate(BATCH, 2, mode="Foo"), ValueError, "mode must be one of .*; got 'Foo'"),
    "pillow: set": (lambda: pillow.resize(BYTES, {4, 5}), TypeError, r"size must be two integers.*got \{4, 5\}"),
    "pillow: mapping": (lambda: pillow.resize(BYTES, {4: 0, 5: 0}), TypeError, "size must be two integers"),
    "pillow: box": (lambda: pillow.resize(BYTES, (2, 2), box={0, 1, 2, 3}), TypeError, "box must be four numbers"),
    "pillow: thumbnail": (lambda: pillow.thumbnail(BYTES, {2, 3}), TypeError, r"size must be two numbers.*\{2, 3\}"),
    "pillow: one number": (lambda: pillow.thumbnail(BYTES, 2), TypeError, "size must be two numbers.*got 2"),
    "pillow: factor": (lambda: pillow.reduce(BYTES, 0), ValueError, "factor must be at least 1, got 0"),
    "pillow: dtype": (
        lambda: pillow.reduce(BYTES.astype("u2"), 2),
        TypeError,
        "image must .* to be reduced; got uint16",
    ),
    "onnx: kernel": (
        lambda: onnx.max_pool(BATCH, kernel_shape=None),
        ValueError,
        "kernel_shape must have 2 .*got None",
    ),
    "onnx: one number": (lambda: onnx.max_pool(BATCH, kernel_shape=2), ValueError, "kernel_shape must have 2 .*got 2"),
    "onnx: unpooling": (
        lambda: onnx.max_unpool(BATCH, BATCH.astype(int), kernel_shape=[2]),
        ValueError,
        r"kernel_shape must have 2 entries, one per spatial axis; got \(2,\)",
    ),
    "onnx: block": (lambda: onnx.col2im(np.zeros((1, 4, 4)), (4, 4), None), ValueError, "block_shape must .*got None"),
    "onnx: indices": (
        lambda: onnx.max_unpool(BATCH, BATCH.astype(int) + 99, kernel_shape=(1, 1)),
        ValueError,
        r"I must lie between 0 and 15; I\[0, 0, 0, 0\] is 99",
    ),
    "onnx: their dtype": (
        lambda: onnx.max_unpool(BATCH, BATCH, kernel_shape=(1, 1)),
        TypeError,
        "I must have dtype int32 or int64, got float64",
    ),
    "onnx: bias": (lambda: onnx.conv_transpose(BATCH, ONE, np.ones(1, "f4")), TypeError, "B must have the dtype of X"),
    "onnx: its shape": (lambda: onnx.conv_transpose(BATCH, ONE, np.ones(2)), ValueError, r"B must have shape \(1,\)"),
    "scipy: tuple": (
        lambda: scipy.ndimage.zoom(PLANE, 2, output=(PLANE,)),
        TypeError,
        "output must be an array or a dtype that NumPy has",
    ),
    "scipy: number": (
        lambda: scipy.ndimage.zoom(PLANE, 2, output=5),
        TypeError,
        "output must be an array or a dtype that NumPy has, got 5",
    ),
}


@pytest.mark.parametrize(("call", "exception", "told"), OTHERWISE.values(), ids=OTHERWISE)
def test_what_is_taken_for_nothing_else(call: Any, exception: type[Exception], told: str) -> None:
    with pytest.raises(exception, match=told) as caught:
        call()
    assert type(caught.value) is exception


class Named(str, Enum):  # noqa: UP042 - unlike StrEnum's, the text of its members is not their value
    LINEAR = "linear"
    CUBIC = "bicubic"


def test_members_of_an_enumeration_of_text_are_names() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(gu.resize(x, (4, 6), method=Named.LINEAR), gu.resize(x, (4, 6), method="linear"))
    layer = gu.nn.Upsample(8, mode=Named.CUBIC)
    assert np.array_equal(layer(x[None, None]), gu.interpolate(x[None, None], 8, mode="bicubic"))


def test_what_onnx_has_no_use_for_is_not_looked_at() -> None:
    x = np.arange(4, dtype=np.uint8)
    assert onnx.resize(x, [7], scales=[2], extrapolation_value=NAN).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_layer_without_a_dtype_is_of_float32() -> None:
    assert gu.nn.ConvTranspose2d(1, 1, 1, dtype=None).weight.dtype == np.float32
    layer = keras.Conv2DTranspose(1, 1, dtype=None)
    layer.build((1, 4, 4, 1))
    assert layer.get_weights()[0].dtype == np.float32


def test_infinity_surrounds_floats() -> None:
    given = {"border": "constant", "fill_value": INFINITY, "box": [(-1, 3)], "method": "nearest"}
    assert gu.resize(np.zeros(3, np.float16), 4, **given).tolist() == [INFINITY, 0, 0, 0]


def test_three_flags_of_an_array() -> None:
    gradients = gu.conv_transpose2d_backward(np.ones((1, 1, 5, 5)), BATCH, ONE, needs=np.array([True, False, False]))
    assert [gradient is None for gradient in gradients] == [False, True, True]


def test_bfloat16_by_its_name_alone() -> None:
    pytest.importorskip("ml_dtypes")
    program = "import gpu_upsample as gu; print(gu.bilinear_weight(1, 2, 'bfloat16').dtype)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "bfloat16\n"


# ---- results that no machine holds -----------------------------------------------------------------------------
SMALL = np.zeros((1, 1, 3, 4), np.float32)
FLAT = np.zeros((3, 4), np.float32)
LONG = 2**26

HUGE_RESULTS: dict[str, tuple[Any, str]] = {
    "interpolate": (lambda: gu.interpolate(SMALL, (LONG, LONG)), f"(1, 1, {LONG}, {LONG})"),
    "longer": (lambda: gu.interpolate(SMALL, size=(2**30, 2**30)), f"(1, 1, {2**30}, {2**30})"),
    "scale": (lambda: gu.interpolate(SMALL, scale_factor=2**28, mode="bicubic"), f"(1, 1, {3 * 2**28}, {2**30})"),
    "empty": (lambda: gu.interpolate(SMALL[:0], (LONG, LONG)), f"(0, 1, {LONG}, {LONG})"),
    "interpolate_backward": (lambda: gu.interpolate_backward(SMALL, (1, 1, LONG, LONG), (3, 4)), "float32"),
    "resize": (
        lambda: gu.resize(FLAT.astype("c16"), (LONG, LONG), method="area"),
        f"({LONG}, {LONG}) and dtype complex",
    ),
    "resize_backward": (lambda: gu.resize_backward(FLAT, (LONG, LONG), (3, 4)), f"({LONG}, {LONG})"),
    "max_unpool": (lambda: gu.max_unpool2d(SMALL, SMALL.astype(int), LONG), f"(1, 1, {3 * LONG}, {4 * LONG})"),
    "max_pool_backward": (
        lambda: gu.max_pool2d_backward(SMALL, SMALL.astype(int), (1, 1, LONG, LONG), 2**24),
        f"(1, 1, {LONG}, {LONG})",
    ),
    "conv_transpose": (
        lambda: gu.conv_transpose2d(SMALL, np.ones((1, 1, 2, 2), np.float32), stride=LONG),
        f"(1, 1, {2 * LONG + 2}, {3 * LONG + 2})",
    ),
    "fold": (lambda: gu.fold(np.zeros((1, 1, 1), np.float32), LONG, 1, stride=LONG), f"(1, 1, {LONG}, {LONG})"),
    "unfold": (lambda: gu.unfold(SMALL, 1, padding=2**25), f"(1, 1, {(2**26 + 3) * (2**26 + 4)})"),
    "jax": (lambda: gu.compat.jax.image.resize(FLAT, (LONG, LONG), "linear"), f"({LONG}, {LONG})"),
    "translate": (
        lambda: gu.compat.jax.image.scale_and_translate(FLAT, (LONG, LONG), (0, 1), (2.0, 2.0), (0.0, 0.0), "linear"),
        f"({LONG}, {LONG})",
    ),
    "keras": (
        lambda: gu.compat.keras.UpSampling2D(LONG, interpolation="bilinear")(SMALL),
        f"(1, {LONG}, {3 * LONG}, 4)",
    ),
    "keras convolution": (lambda: gu.compat.keras.Conv2DTranspose(1, 1, LONG)(SMALL[0, ..., None]), "float32"),
    "onnx": (lambda: gu.compat.onnx.resize(FLAT, sizes=(LONG, LONG)), f"({LONG}, {LONG})"),
    "opencv": (lambda: gu.compat.opencv.resize(FLAT, (LONG, LONG)), f"({LONG}, {LONG})"),
    "paddle": (lambda: gu.compat.paddle.interpolate(SMALL, (LONG, LONG), mode="bilinear"), f"(1, 1, {LONG}, {LONG})"),
    "pillow": (lambda: gu.compat.pillow.resize(FLAT, (LONG, LONG)), f"({LONG}, {LONG})"),
    "scipy": (lambda: gu.compat.scipy.ndimage.zoom(FLAT, LONG, order=1), f"({3 * LONG}, {4 * LONG})"),
    "tensorflow": (lambda: gu.compat.tensorflow.image.resize(SMALL, (LONG, LONG)), f"(1, {LONG}, {LONG}, 4)"),
    "torch_uint8": (
        lambda: gu.compat.torch_uint8.interpolate(SMALL.astype(np.uint8), (LONG, LONG), mode="bilinear"),
        f"(1, 1, {LONG}, {LONG}) and dtype uint8 would have {LONG**2} bytes",
    ),
    "onnx unpooling": (
        lambda: gu.compat.onnx.max_unpool(SMALL, SMALL.astype(int), kernel_shape=(1, 1), strides=(LONG, LONG)),
        "float32",
    ),
    "onnx convolution": (
        lambda: gu.compat.onnx.conv_transpose(SMALL, np.ones((1, 1, 2, 2), np.float32), strides=(LONG, LONG)),
        "float32",
    ),
    "col2im": (
        lambda: gu.compat.onnx.col2im(np.zeros((1, 1, 1), np.float32), (LONG, LONG), (1, 1), strides=(LONG, LONG)),
        f"(1, 1, {LONG}, {LONG})",
    ),
}


@pytest.mark.parametrize(("call", "told"), HUGE_RESULTS.values(), ids=HUGE_RESULTS)
def test_a_result_that_no_machine_holds_is_refused_before_tables_are_made(
    call: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arange = np.arange

    def short(*arguments: Any, **options: Any) -> Any:
        assert max(abs(number) for number in arguments) <= 2**20, "a table as long as an axis"
        return arange(*arguments, **options)

    monkeypatch.setattr(np, "arange", short)
    with pytest.raises(ValueError, match=r"would have .* bytes; a process can address 140737488355328") as caught:
        call()
    assert told in str(caught.value)


def test_the_largest_result_that_a_machine_may_hold() -> None:
    shapes.check_addressable((2**23, 2**22), "float32")
    shapes.check_addressable((2**23, 2**24), "uint8")
    with pytest.raises(ValueError, match="bytes"):
        shapes.check_addressable((2**23, 2**22 + 1), "float32")


# ---- out -------------------------------------------------------------------------------------------------------
def read_only(shape: tuple[int, ...]) -> Any:
    array = np.zeros(shape)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "exception", "parts"),
    [
        (np.zeros((1, 2, 8, 11)), ValueError, ["out", "(1, 2, 8, 12)", "(1, 2, 8, 11)"]),
        (np.zeros((2, 8, 12)), ValueError, ["out", "(1, 2, 8, 12)", "(2, 8, 12)"]),
        (np.zeros((1, 2, 8, 12), np.float32), TypeError, ["out", "float64", "float32"]),
        (np.zeros((1, 2, 8, 12), np.int64), TypeError, ["out", "float64", "int64"]),
        (read_only((1, 2, 8, 12)), ValueError, ["out", "read-only"]),
    ],
    ids=["width", "rank", "float32", "int64", "read-only"],
)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_out(mode: str, out: Any, exception: type[Exception], parts: list[str]) -> None:
    assert_refused(gu.interpolate, IMAGE, {"scale_factor": 2, "mode": mode}, exception, parts, out)


def test_out_of_another_kind() -> None:
    for goal, advice in (
        ([np.zeros((1, 2, 3, 3))], ", or a tuple of arrays for several results"),
        (3.0, ""),
        ("a", ""),
    ):
        with pytest.raises(TypeError, match=rf"out must be a NumPy, .*__dlpack__{advice}; got builtins"):
            gu.interpolate(IMAGE, 3, out=goal)
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="one kind; got numpy and torch"):
        gu.interpolate(IMAGE, 3, out=torch.zeros((1, 2, 3, 3), dtype=torch.float64))
    with pytest.raises(TypeError, match="one kind; got torch and numpy"):
        gu.interpolate(torch.zeros((1, 2, 4, 6), dtype=torch.float64), 3, out=np.zeros((1, 2, 3, 3)))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_overlapping_out(mode: str) -> None:
    memory = np.arange(30.0)
    x, out = memory[:10].reshape(1, 1, 10), memory[9:29].reshape(1, 1, 20)
    assert_refused(gu.interpolate, x, {"size": 20, "mode": mode}, ValueError, ["out", "overlap", "x"], out)
    assert_refused(gu.interpolate, x, {"size": 10, "mode": mode}, ValueError, ["out", "overlap", "x"], x)
    backwards = memory[29:9:-1].reshape(1, 1, 20)
    assert_refused(gu.interpolate, memory[5:15].reshape(1, 1, 10), {"size": 20}, ValueError, ["overlap"], backwards)


@pytest.mark.parametrize("backend", ["cpu", "auto"])
@pytest.mark.parametrize("strides", [(0, 8), (8, 8), (40, -8), (16, 8)])
def test_out_that_overlaps_itself(strides: tuple[int, int], backend: Any) -> None:
    memory = np.arange(30.0)
    out = np.lib.stride_tricks.as_strided(memory[10:], (2, 6), strides)
    options = {"size": (2, 6), "axes": (0, 1), "backend": backend}
    assert_refused(gu.resize, np.ones((2, 2)), options, ValueError, ["out", "overlap itself"], out)


def test_out_of_any_strides_is_written() -> None:
    memory = np.zeros((5, 3, 7))
    x = np.arange(24.0).reshape(2, 3, 4)
    for out in (memory[::-2, :, 1:6].transpose(2, 1, 0), memory[:, 2::-1, 6:1:-1].T):
        expected = gu.resize(x, out.shape)
        assert gu.resize(x, out.shape, out=out) is out
        np.testing.assert_array_equal(out, expected)


def test_interleaved_out_does_not_overlap() -> None:
    memory = np.arange(20.0)
    expected = gu.resize(memory[::2].copy(), 10, coordinates="asymmetric")
    gu.resize(memory[::2], 10, coordinates="asymmetric", out=memory[1::2])
    assert np.array_equal(memory[1::2], expected)


# ---- surroundings ----------------------------------------------------------------------------------------------
def test_unknown_backend_of_a_block() -> None:
    message = r"backend must be one of 'auto', 'cpu', 'cuda'; got 'tpu'"
    with pytest.raises(ValueError, match=message), gu.use_backend("tpu"):
        raise AssertionError("entered")


def test_unknown_backend_of_the_environment(set_variable: Any) -> None:
    set_variable("GPU_UPSAMPLE_BACKEND", "tpu")
    with pytest.raises(ValueError, match=r"GPU_UPSAMPLE_BACKEND must be one of .*; got 'tpu'"):
        gu.resize(np.zeros(4), 3)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1025", "9" * 5000])
def test_unusable_number_of_threads(use_threads: Any, value: str) -> None:
    use_threads(value)
    with pytest.raises(ValueError, match=f"GPU_UPSAMPLE_NUM_THREADS must be an integer from 1 to 1024, got '{value}'"):
        gu.resize(np.zeros((300, 300)), (400, 400))


def test_an_unusable_number_of_threads_is_told_by_the_first_call(set_variable: Any) -> None:
    set_variable("GPU_UPSAMPLE_NUM_THREADS", "x")
    dispatch.load.cache_clear()
    with pytest.raises(ValueError, match="GPU_UPSAMPLE_NUM_THREADS must be an integer from 1 to 1024, got 'x'"):
        gu.resize(np.zeros(4), 3)
    set_variable("GPU_UPSAMPLE_NUM_THREADS", "1")
    assert gu.resize(np.zeros(4), 3).shape == (3,)


def test_a_tensor_that_requires_a_gradient() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(4.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"x requires a gradient.*x\.detach\(\).*compat\.torch"):
        gu.resize(x, 3)
    with torch.no_grad():
        found = gu.resize(x, 3)
    assert not found.requires_grad
    assert found.equal(gu.resize(x.detach(), 3))


def test_variables_that_are_empty_are_not_set(use_threads: Any, set_variable: Any) -> None:
    use_threads("")
    set_variable("GPU_UPSAMPLE_BACKEND", "")
    assert gu.resize(np.zeros((300, 300)), (400, 400)).shape == (400, 400)


def test_show_info_tells_of_unusable_variables(
    use_threads: Any, set_variable: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    use_threads("many")
    set_variable("GPU_UPSAMPLE_BACKEND", "tpu")
    gu.show_info()
    printed = capsys.readouterr().out
    assert "NUM_THREADS must be an integer from 1 to 1024, got 'many'" in printed
    assert "BACKEND must be one of 'auto', 'cpu', 'cuda'; got 'tpu'" in printed


def test_show_info_tells_of_versions(capsys: pytest.CaptureFixture[str]) -> None:
    gu.show_info()
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told["python"] == f"{platform.python_version()} on {platform.platform()}"
    assert told["numpy"] == np.__version__
    for package in ("ml_dtypes", "torch"):
        installed = importlib.util.find_spec(package) is not None
        assert told[package] == (importlib.metadata.version(package) if installed else "not installed")


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'resise'"):
        gu.resise  # noqa: B018


@pytest.mark.parametrize(
    "options",
    [
        {"size": 1, "box": [(-(2.0**31) + 1, 2.0**31 - 1)], "antialias": True},
        {"size": 1, "box": [(0, 2.0**31 - 1)], "method": "area"},
    ],
    ids=["antialias", "area"],
)
def test_a_table_that_no_memory_holds_is_refused(options):
    with pytest.raises(ValueError, match=r"box.*table may hold"):
        gu.resize(np.zeros(10), **options)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, n: gu.resize(x, n, axes=0, method="linear"),
        lambda x, n: gu.resize(x, n, axes=0, method="box"),
        lambda x, n: gu.resize(x, n, axes=0, method="area"),
        lambda x, n: gu.interpolate(x[None, None], (n, 2), mode="area"),
        lambda x, n: jax.resize(x, (n, 2), "linear"),
        lambda x, n: jax.scale_and_translate(x, (n, 2), (0,), [1000], [0], "linear"),
        lambda x, n: onnx.resize(x, sizes=(n, 2), mode="linear"),
        lambda x, n: opencv.resize(x, (2, n)),
        lambda x, n: paddle.interpolate(x[None, None], (n, 2), mode="bilinear"),
        lambda x, n: paddle.interpolate(x[None, None], (n, 2), mode="bicubic"),
        lambda x, n: pillow.resize(x, (2, n), pillow.BILINEAR),
        lambda x, n: tensorflow.image.resize(x[..., None], (n, 2)),
        lambda x, n: keras.layers.UpSampling2D((n // 2, 1), interpolation="bilinear")(x[None, ..., None]),
    ],
)
def test_a_length_whose_table_no_memory_holds_is_refused_before_coordinates(call, monkeypatch):
    """By the least that a window has; coordinates would tell how long it is, and need as much memory themselves."""
    monkeypatch.setattr(taps, "LARGEST_TABLE", 2000)
    with pytest.raises(ValueError, match=r"2002 windows of at least 1 samples; a table may hold"):
        call(np.ones((2, 2), np.uint8), 2002)
