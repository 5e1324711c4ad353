"""compat.tensorflow against what TensorFlow 2.21 made of the same images: see data/record_tensorflow.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_upsample.compat import tensorflow as tf
from gpu_upsample.compat.tensorflow import _plan_resize
from tests.cases import noise
from tests.data import record_tensorflow as record
from tests.dense import dense
from tests.tolerances import assert_same_bits

ULP = 2.0**-23
# TensorFlow evaluates the filters in float32: polynomials that cancel, sines of large angles.
ULPS = {"mitchellcubic": 16, "bicubic": 10, "lanczos3": 6, "lanczos5": 8}


def plan(
    x: Any, size: Any, method: str = "bilinear", preserve_aspect_ratio: bool = False, antialias: bool = False
) -> Any:
    return _plan_resize(x.shape, str(x.dtype), size, method, preserve_aspect_ratio, antialias)


def test_every_recorded_image() -> None:
    table, position, least = np.load(record.TABLE), 0, 0
    for (x, arguments), shape in zip(record.draws(), table["shape"], strict=True):
        if not shape.any():
            with pytest.raises(ValueError, match="size"):
                tf.image.resize(x, **arguments)
            continue
        expected = table["value"][position : position + shape.prod()].reshape(shape)
        position += shape.prod()
        got = dense(plan(x, **arguments), x)
        assert got.shape == expected.shape, arguments
        error = np.abs(got - expected).max() / np.abs(x.astype(float)).max()
        assert error <= ULPS.get(arguments["method"], 4) * ULP, (x.shape, x.dtype, arguments)
        least += error > 0
    assert position == len(table["value"])
    assert least > len(table["shape"]) / 2  # they are two computations


@pytest.mark.parametrize(("method", "dtype"), [("bilinear", "uint8"), ("bilinear", "float64"), ("area", "int32")])
def test_the_call_does_what_the_plan_says(method: str, dtype: str, device: Any) -> None:
    x = noise((2, 5, 4, 3), dtype)
    if dtype == "int32":
        x >>= 8  # whole numbers that float32 holds
    got = tf.image.resize(x, [7, 6], method)
    expected = dense(plan(x, (7, 6), method), x)
    assert (got.shape, got.dtype) == ((2, 7, 6, 3), np.float32)
    np.testing.assert_allclose(got, expected, rtol=0, atol=3 * ULP * np.abs(x.astype(float)).max())
    assert_same_bits(device(tf.image.resize, x, size=[7, 6], method=method), got)
    np.testing.assert_array_equal(tf.image.resize(x[0], np.array([7, 6]), method), got[0])
    out = np.empty_like(got)
    assert tf.image.resize(x, (7, 6), method, out=out) is out


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_dtypes_of_results(dtype: str) -> None:
    x = noise((3, 4, 1), dtype)
    assert tf.image.resize(x, (6, 8), tf.image.ResizeMethod.NEAREST_NEIGHBOR).dtype == dtype
    same = tf.image.resize(x, (3, 4))
    assert same.dtype == np.float32
    np.testing.assert_array_equal(same, x.astype(np.float32))


def test_a_blur_blurs_what_keeps_its_size() -> None:
    x = noise((4, 4, 1), "float32")
    assert np.abs(tf.image.resize(x, (4, 4), "gaussian") - x).max() > 0.1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "cubic"}, ValueError, "method must be one of 'bilinear'.*got 'cubic'"),
        ({"size": 3}, ValueError, "size must be two integers"),
        ({"size": (3,)}, ValueError, "size must be two integers"),
        ({"size": (3.0, 3)}, ValueError, "size must be two integers"),
        ({"size": (0, 3)}, ValueError, "size"),
        ({"images": np.zeros((4, 4))}, ValueError, "images must have 3 axes"),
        ({"images": np.zeros((0, 4, 1))}, ValueError, "height and width"),
        ({"images": np.zeros((4, 4, 1), bool)}, TypeError, "real numbers; got bool"),
        ({"images": np.zeros((4, 4, 1), complex)}, TypeError, "real numbers; got complex128"),
        ({"images": [[[1.0]]]}, TypeError, "images must be"),
    ],
)
def test_bad_input(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        tf.image.resize(**{"images": np.zeros((4, 4, 1)), "size": (3, 3)} | arguments)
