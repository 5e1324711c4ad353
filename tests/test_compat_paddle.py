"""compat.paddle against what PaddlePaddle 3.3.1 made of the same arrays: see data/record_paddle.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_upsample.compat import paddle
from gpu_upsample.compat.paddle import _plan_interpolate
from gpu_upsample.plan.cache import plain
from tests.cases import noise
from tests.data import record_paddle as record
from tests.dense import dense
from tests.tolerances import assert_same_bits

ULP = 2.0**-23
DEFAULTS = {
    "size": None, "scale_factor": None, "mode": "nearest", "align_corners": False, "align_mode": 0,
    "data_format": None, "recompute_scale_factor": None,
}  # fmt: skip


def plan(x: Any, **arguments: Any) -> Any:
    return _plan_interpolate(x.shape, str(x.dtype), *map(plain, (DEFAULTS | arguments).values()))


def allowed(x: Any, arguments: dict[str, Any]) -> float:
    """Return how far a result may be off, relative to the largest sample."""
    weights = {"bicubic": 16 * ULP}.get(arguments["mode"], 3 * ULP)
    linear = arguments["mode"] in ("linear", "bilinear", "trilinear")
    shifted = (arguments["mode"] == "bicubic" or (linear and arguments["align_mode"] == 0)) and not arguments[
        "align_corners"
    ]
    # Paddle may round a shifted coordinate once instead of twice; neighbours differ by up to twice the largest sample.
    return weights + shifted * 4 * float(np.spacing(np.float32(max(x.shape))))


def test_every_recorded_array() -> None:
    table, position, close = np.load(record.TABLE), 0, 0
    for (x, arguments), shape in zip(record.draws(), table["shape"], strict=True):
        if not shape.any():
            with pytest.raises(ValueError, match="output sizes"):
                paddle.interpolate(x, **arguments)
            continue
        shape = shape[: x.ndim]
        expected = table["value"][position : position + shape.prod()].reshape(shape)
        position += shape.prod()
        got = dense(plan(x, **arguments), x)
        assert got.shape == expected.shape, arguments
        error = np.abs(got - expected).max() / np.abs(x).max()
        assert error <= allowed(x, arguments), (x.shape, x.dtype, arguments)
        close += error <= 16 * ULP
    assert position == len(table["value"])
    assert close > 0.9 * len(table["shape"])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_call_does_what_the_plan_says(dtype: str, device: Any) -> None:
    x = noise((2, 5, 4, 3), dtype)
    arguments = {"size": [7, 6], "mode": "bilinear", "data_format": "NHWC", "align_mode": 1}
    got = paddle.interpolate(x, **arguments)
    assert (got.shape, got.dtype) == ((2, 7, 6, 3), x.dtype)
    spacing = {"uint8": 0.51}.get(dtype, 1e-6)
    np.testing.assert_allclose(got.astype(float), dense(plan(x, **arguments), x), rtol=0, atol=spacing)
    assert_same_bits(device(paddle.interpolate, x, **arguments), got)
    layer = paddle.Upsample(**arguments)
    out = np.empty_like(got)
    assert layer(x, out=out) is out
    assert_same_bits(out, got)
    assert repr(layer) == ("Upsample(size=[7, 6], mode=bilinear, align_corners=False, align_mode=1, data_format=NHWC)")


def test_names_are_where_those_of_paddle_are() -> None:
    assert paddle.nn.Upsample is paddle.Upsample
    assert paddle.nn.functional.interpolate is paddle.interpolate


def test_area_pools_the_spatial_axes_of_the_format() -> None:
    x = noise((1, 4, 6, 2), "float32")
    got = paddle.interpolate(x, [2, 3], mode="area", data_format="NHWC")
    np.testing.assert_allclose(got, x.reshape(1, 2, 2, 3, 2, 2).mean((2, 4)), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"mode": "lanczos"}, ValueError, "mode must be one of"),
        ({"mode": "linear"}, ValueError, "mode must be one of 'nearest', 'bilinear', 'bicubic', 'area' for x of shape"),
        ({"scale_factor": 2}, ValueError, "exactly one of size and scale_factor"),
        ({"size": None}, ValueError, "exactly one of size and scale_factor"),
        ({"size": [3]}, ValueError, "size must be one value or 2"),
        ({"size": [0, 3]}, ValueError, "output sizes"),
        ({"size": None, "scale_factor": -1}, ValueError, "scale_factor must be positive"),
        ({"size": None, "scale_factor": 2, "mode": "area"}, ValueError, "mode 'area' needs size"),
        ({"align_mode": 2}, ValueError, "align_mode must be 0 or 1, got 2"),
        ({"align_corners": 1}, TypeError, "align_corners must be True or False"),
        ({"align_corners": True}, ValueError, "no meaning for mode 'nearest'"),
        ({"data_format": "NCW"}, ValueError, "data_format must be one of 'NCHW', 'NHWC'"),
        ({"recompute_scale_factor": True}, ValueError, "needs scale_factor"),
        ({"x": np.zeros((3, 3))}, ValueError, "x must have 3, 4 or 5 axes"),
    ],
)
def test_bad_input(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        paddle.interpolate(**{"x": np.zeros((1, 1, 4, 4)), "size": [3, 3]} | arguments)
