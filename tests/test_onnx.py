"""`resize` against ONNX's reference evaluator: the coordinate rules and roundings that carry ONNX's names."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import noise
from tests.tolerances import SINGLE, TORCH

helper = pytest.importorskip("onnx.helper")
evaluator = pytest.importorskip("onnx.reference")

RULES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
# The evaluator takes the cubic coefficient as a float32 number and forms the cubic weights in float32.
CLOSE = {"linear": TORCH, "cubic": 4 * SINGLE}
SIZES = [(7, 9), (3, 4), (10, 5), (1, 12)]


def onnx_resize(x, size, **attributes):
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)
    inputs = [helper.make_tensor_value_info("x", 11, None), helper.make_tensor_value_info("sizes", 7, None)]
    graph = helper.make_graph([node], "resize", inputs, [helper.make_tensor_value_info("y", 11, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    return evaluator.ReferenceEvaluator(model).run(None, {"x": x, "sizes": np.array(size, np.int64)})[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_filters(backend, method, rule, size):
    if (rule, method, size[0]) == ("pytorch_half_pixel", "cubic", 1):
        size = (2, size[1])  # see below
    x = noise((5, 6))
    expected = onnx_resize(x, size, mode=method, coordinate_transformation_mode=rule, cubic_coeff_a=-0.75)
    got = backend.resize(x, size, method=method, coordinates=rule, cubic_coeff=-0.75)
    assert np.abs(got - expected).max() <= CLOSE[method] * np.abs(x).max()


def test_one_sample_follows_the_specification_and_not_the_evaluator(backend):
    """The specification puts the only sample of pytorch_half_pixel at 0, the evaluator at -0.5."""
    x = noise((6,))
    rule = {"coordinate_transformation_mode": "pytorch_half_pixel", "cubic_coeff_a": -0.75}
    assert backend.resize(x, 1, method="cubic", coordinates="pytorch_half_pixel", cubic_coeff=-0.75) == x[0]
    assert onnx_resize(x, (1,), mode="cubic", **rule) != x[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_nearest(backend, rounding, rule, size):
    x = noise((5, 6))
    expected = onnx_resize(x, size, mode="nearest", coordinate_transformation_mode=rule, nearest_mode=rounding)
    got = backend.resize(x, size, method="nearest", coordinates=rule, nearest_rounding=rounding)
    np.testing.assert_array_equal(got, expected)
