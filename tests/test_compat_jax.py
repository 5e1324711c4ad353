"""compat.jax against JAX itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample.compat import jax as ours
from gpu_upsample.compat.jax import _plan_resize, _plan_scale_and_translate
from tests.cases import noise
from tests.dense import dense
from tests.tolerances import assert_same_bits

jax = pytest.importorskip("jax")

ULP = 2.0**-23
METHODS = ("linear", "cubic", "lanczos3", "lanczos5", "cubic-pytorch", "area")
# JAX evaluates the filters in float32: polynomials that cancel, sines of large angles.
ULPS = {"linear": 2, "area": 2, "lanczos3": 4, "lanczos5": 4, "cubic": 10, "cubic-pytorch": 24}


def error(got: Any, expected: Any, x: Any) -> float:
    """Return the largest difference, in units in the last place of the largest sample."""
    assert got.shape == expected.shape
    return float(np.abs(got - np.asarray(expected)).max() / np.abs(x).max() / ULP)


def test_scale_and_translate_in_thousands_of_draws() -> None:
    """JAX does not compile this one: new numbers cost nothing, new shapes do."""
    rng = np.random.default_rng(0)
    shapes = ((3, 17), (12, 7), (30, 31))
    for draw in range(2400):
        (n, m), method, antialias = shapes[draw % 3], METHODS[draw // 3 % 6], bool(draw // 18 % 2)
        scale, translation = np.exp(rng.uniform(-2, 2)), rng.uniform(-n, n)
        if draw % 5 == 0:  # where outputs lie on the rim of the image
            scale, translation = max(round(scale * 4), 1) / 4, round(translation * 2) / 2
        x = noise((n, 2), "float32", seed=draw)
        numbers = np.float32([scale]), np.float32([translation])
        arguments = ((m, 2), (0,), *numbers, method, antialias)
        expected = jax.image.scale_and_translate(x, *arguments)
        as_tuples = ((m, 2), (0,), *(tuple(n.tolist()) for n in numbers), method, antialias)
        got = dense(_plan_scale_and_translate(x.shape, "float32", *as_tuples), x)
        assert error(got, expected, x) <= ULPS[method], (n, m, *arguments)


def test_resize() -> None:
    rng, exact = np.random.default_rng(1), 0
    for draw in range(36):
        method, antialias = METHODS[draw % 6], bool(draw // 6 % 2)
        shape_in, shape = rng.integers(1, 60, 2), rng.integers(1, 60, 2)
        shape[rng.integers(2)] = shape_in[rng.integers(2)]
        x = noise(tuple(shape_in), "float32", seed=draw)
        arguments = (tuple(map(int, shape)), method, antialias)
        off = error(dense(_plan_resize(x.shape, "float32", *arguments), x), jax.image.resize(x, *arguments), x)
        # Where XLA fuses two operations, a coordinate differs by its last place.
        coordinate = 4 * np.spacing(np.float32(max(shape_in))) / ULP
        assert off <= ULPS[method] + coordinate, (x.shape, *arguments)
        exact += off <= ULPS[method]
    assert exact > 24


def test_nearest() -> None:
    rng = np.random.default_rng(2)
    # Pairs for which n / m and 1 / m, rounded to float32, lead to different samples.
    ties = ((6, 61), (22, 129), (36, 134), (50, 31), (60, 147), (80, 107), (92, 94), (104, 123))
    for n, m in (*ties, *rng.integers(1, 200, (20, 2)).tolist()):
        x = np.arange(n)
        np.testing.assert_array_equal(ours.image.resize(x, (m,), "nearest"), jax.image.resize(x, (m,), "nearest"))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "float16", "bfloat16", "float32", "complex64"])
def test_dtypes(dtype: str) -> None:
    x = noise((4, 3), dtype)
    x = x >> 8 if dtype == "int32" else x
    for shape in ((4, 3), (7, 3)):
        expected = np.asarray(jax.image.resize(x, shape, "linear"))
        got = ours.image.resize(x, shape, "linear")
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        single = "complex64" if dtype == "complex64" else "float32"
        rounding = {"float16": 2e-3, "bfloat16": 2e-2}.get(dtype, 4 * ULP)
        off = np.abs(got.astype(single) - expected.astype(single)).max()
        assert off <= rounding * np.abs(x.astype(single)).max()


def test_double_precision_is_that_of_64_bit_mode() -> None:
    x = noise((19, 3))
    with jax.enable_x64(True):
        expected = np.asarray(jax.image.resize(x, (33, 2), "cubic"))
    got = ours.image.resize(x, (33, 2), "cubic")
    assert got.dtype == expected.dtype == np.float64
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_jax_arrays_come_back_as_jax_arrays() -> None:
    x = jax.numpy.arange(6.0).reshape(2, 3)
    got = ours.image.resize(x, (4, 3), ours.image.ResizeMethod.LINEAR)
    assert isinstance(got, jax.Array)
    np.testing.assert_allclose(got, jax.image.resize(x, (4, 3), "linear"), rtol=1e-6)


@pytest.mark.parametrize("name", ours.ResizeMethod.__members__)
def test_the_methods_of_jax_itself_are_taken(name: str) -> None:
    theirs = jax.image.ResizeMethod[name]
    x = noise((4, 3), "float32")
    expected = ours.image.resize(x, (7, 2), ours.ResizeMethod[name])
    assert_same_bits(ours.image.resize(x, (7, 2), theirs), expected)
    assert_same_bits(ours.image.resize(x, (7, 2), name.lower().replace("_", "-")), expected)
    if name != "NEAREST":
        move = {"shape": (7, 3), "spatial_dims": (0,), "scale": [1.5], "translation": [0.5]}
        expected = ours.image.scale_and_translate(x, **move, method=ours.ResizeMethod[name])
        assert_same_bits(ours.image.scale_and_translate(x, **move, method=theirs), expected)


@pytest.mark.parametrize("name", ours._NAMES)
def test_strings_name_the_methods_of_jax(name: str) -> None:
    assert ours.image.ResizeMethod.from_string(name).name == jax.image.ResizeMethod.from_string(name).name


def test_no_axes_are_moved() -> None:
    x = noise((4, 3), "float32")
    assert_same_bits(ours.image.scale_and_translate(x, (4, 3), (), [], [], "linear"), x)
    np.testing.assert_array_equal(jax.image.scale_and_translate(x, (4, 3), (), np.zeros(0), np.zeros(0), "linear"), x)


def test_a_string_that_names_no_method() -> None:
    with pytest.raises(ValueError, match=r"s must be one of .*got 'linera'; did you mean 'linear'\?"):
        ours.ResizeMethod.from_string("linera")


def test_jax_arrays_of_bfloat16() -> None:
    x = jax.numpy.arange(3, dtype=jax.numpy.bfloat16)
    got = gu.resize(x, 6)
    assert isinstance(got, jax.Array)
    assert got.dtype == x.dtype
    assert got.tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2]


CALLS: list[tuple[str, Any]] = [
    ("uint8", ((5, 3), "linear")),
    ("int32", ((4, 3), "linear")),  # only converted
    ("float32", ((7, 5), "cubic")),
]


@pytest.mark.parametrize(("dtype", "arguments"), CALLS)
def test_the_call_does_what_the_plan_says(dtype: str, arguments: Any, device: Any) -> None:
    x = noise((4, 3), dtype)
    got = ours.image.resize(x, *arguments)
    expected = dense(_plan_resize(x.shape, dtype, *arguments, True), x)
    np.testing.assert_allclose(got, expected, rtol=0, atol=4 * ULP * np.abs(x.astype(float)).max())
    assert_same_bits(device(ours.image.resize, x, shape=arguments[0], method=arguments[1]), got)
    out = np.empty_like(got)
    assert ours.image.resize(x, *arguments, out=out) is out


def test_what_lies_outside_is_positive_zero(device: Any) -> None:
    x = -np.ones((3, 2), np.float32)
    move = {"shape": (9, 2), "spatial_dims": (0,), "scale": [1.0], "translation": [3.0], "method": "linear"}
    got = ours.image.scale_and_translate(x, **move)
    assert_same_bits(got[:, 0], np.float32([0, 0, 0, -1, -1, -1, 0, 0, 0]))
    assert_same_bits(device(ours.image.scale_and_translate, x, **move), got)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "hamming"}, "method must be one of 'nearest'.*got 'hamming'"),
        ({"shape": (3,)}, "shape must have length equal to the number of dimensions of image, 2"),
        ({"shape": (0, 3)}, "a resized axis must have between 1 and"),
        ({"image": np.zeros((0, 4))}, "a resized axis must have between 1 and"),
    ],
)
def test_bad_input(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ours.image.resize(**{"image": np.zeros((4, 4)), "shape": (3, 3), "method": "linear"} | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "nearest"}, "nearest neighbour resampling is not supported"),
        ({"scale": [1.0]}, "scale must have one number per entry of spatial_dims, 2"),
        ({"scale": [1.0, -1.0]}, "scale must lie between"),
        ({"scale": [1.0, np.nan]}, "scale must be finite"),
        ({"translation": [1e30, 0.0]}, "translation within"),
        ({"spatial_dims": (0, 0)}, "none twice"),
        ({"spatial_dims": (0,), "scale": [1.0], "translation": [0.0]}, "in spatial_dims=.* only"),
    ],
)
def test_bad_moves(arguments: dict[str, Any], message: str) -> None:
    usual = {
        "shape": (3, 3),
        "spatial_dims": (0, 1),
        "scale": [1.0, 1.0],
        "translation": [0.0, 0.0],
        "method": "linear",
    }
    with pytest.raises(ValueError, match=message):
        ours.image.scale_and_translate(np.zeros((4, 4)), **usual | arguments)
