"""compat.scipy against SciPy itself."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.interpolate import BSpline

import gpu_upsample as gu
from gpu_upsample.compat import scipy as ours
from gpu_upsample.plan.filters import FILTERS
from gpu_upsample.plan.splines import b_spline
from tests.cases import noise, seldom
from tests.tolerances import assert_same_bits

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:It is recommended to use mode:UserWarning")

MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "grid-wrap")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
# From here on, the value with which SciPy begins to filter a mirrored axis is exact: the slowest root to this power.
LONG = {2: 12, 3: 17, 4: 22, 5: 27}


def error(got: Any, expected: Any, x: Any) -> float:
    """Return the largest difference in parts of the largest sample."""
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    return float(np.abs(got - expected).max() / np.abs(x).max())


# ---- splines ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", range(1, 6))
def test_b_splines(order: int) -> None:
    basis = BSpline.basis_element(np.arange(order + 2) - (order + 1) / 2, extrapolate=False)
    distance = np.linspace(-4, 4, 1001)
    expected = np.nan_to_num(basis(distance))
    assert np.abs(b_spline(distance, order) - expected).max() < 1e-15


@pytest.mark.parametrize("order", range(2, 6))
def test_cardinal_splines(order: int) -> None:
    """They are 1 at one sample and 0 at all others, and splines: they reproduce polynomials."""
    kernel = FILTERS[f"spline{order}"]
    samples = np.arange(-kernel.support - 2.0, kernel.support + 3)
    assert np.abs(kernel.function(samples) - (samples == 0)).max() < 1e-15
    for place in (0.0, 0.1, 0.5, 0.99):
        weight = kernel.function(samples - place)
        for power in range(order + 1):
            assert abs(weight @ (samples / kernel.support) ** power - (place / kernel.support) ** power) < 1e-14


# ---- zoom ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", MODES)
def test_thousands_of_draws(mode: Any) -> None:
    rng = np.random.default_rng(0)
    for draw in range(1500):
        order, prefilter, grid = draw % 6, bool(draw // 6 % 2), bool(draw // 12 % 2)
        short = LONG.get(order, 1) if mode in ("reflect", "grid-mirror") and prefilter else 1
        n, factor = int(rng.integers(short, short + 30)), float(np.exp(rng.uniform(-1.5, 1.5)))
        if not round(n * factor):
            continue
        x = noise((n,), seed=draw)
        how = {"order": order, "mode": mode, "cval": 1.5, "prefilter": prefilter, "grid_mode": grid}
        got = ours._plan_zoom((n,), "float64", "float64", factor, order, mode, 1.5, prefilter, grid)
        expected = ndimage.zoom(x, factor, **how)
        assert got.shapes == (expected.shape,)
        actual = gu.compat.scipy.zoom(x, factor, **how) if draw % 25 == 0 else summed(got, x, 1.5)
        assert error(actual, expected, x) < (1e-13 if order else 1e-300), (n, factor, how)


def summed(plan: Any, x: Any, fill: float) -> Any:
    """Compute a plan of one axis in float64."""
    for step in plan.steps:
        along = step.columns
        if isinstance(along, np.ndarray):
            x = np.where(along < 0, fill, x[along])
        else:
            x = along.matrix() @ x + (0 if along.outside is None else along.outside * fill)
    return x


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("order", range(6))
def test_several_axes(order: int, mode: Any) -> None:
    x = noise((28, 31, 30))
    for factor in ((1.7, 0.6, 1), (0.4, 2.5, 3)):
        for grid in (False, True):
            how = {"order": order, "mode": mode, "cval": -3.0, "grid_mode": grid}
            assert error(ours.zoom(x, factor, **how), ndimage.zoom(x, factor, **how), x) < 1e-13


def test_an_infinity_stays_where_it_is_read() -> None:
    """Windows at both ends of a repeated axis hold nothing between these."""
    x = np.where(np.arange(20) == 10, np.inf, 1.0)
    assert np.flatnonzero(~np.isfinite(ours.zoom(x, 2, order=1, mode="grid-wrap", grid_mode=True))).tolist() == [
        *range(19, 23)
    ]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(dtype: str) -> None:
    """SciPy's sums are others in their last place, which seldom decides about a rounding."""
    x = noise((29, 30), dtype, seed=3)
    x = x >> 30 if dtype in ("int64", "uint64") else x  # so that float64 holds the sums
    for order, grid in ((0, False), (1, True), (2, False), (3, True), (5, False)):
        how = {"order": order, "mode": "mirror", "grid_mode": grid}
        got, expected = ours.zoom(x, 1.9, **how), ndimage.zoom(x, 1.9, **how)
        assert got.dtype == expected.dtype
        unlike = got != expected
        assert unlike.mean() < 1e-3
        high, low = np.maximum(got, expected), np.minimum(got, expected)
        assert (high - low).max() <= 1


def test_halves_are_rounded_away_from_zero() -> None:
    x = np.array([0, 1, -1, -2], np.int16)
    how = {"order": 1, "grid_mode": False}
    expected = ndimage.zoom(x, 7 / 4, **how)
    assert expected.tolist() == [0, 1, 1, 0, -1, -2, -2]
    assert_same_bits(ours.zoom(x, 7 / 4, **how), expected)


def test_what_overshoots_saturates() -> None:
    step = np.repeat(np.uint8([0, 255]), 16)
    assert_same_bits(ours.zoom(step, 3), np.clip(np.rint(ndimage.zoom(step.astype(float), 3)), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_other_dtypes(dtype: str) -> None:
    x = noise((30, 28), dtype)
    for order in range(6):
        band = 1e-13 if dtype == "complex128" else 2**-23
        assert error(ours.zoom(x, 1.6, order=order), ndimage.zoom(x, 1.6, order=order), x) < band


def test_complex_numbers_in_both_ways_to_measure() -> None:
    """SciPy forgets `grid_mode` for them."""
    x = noise((30,), "complex128")
    zoom = partial(ndimage.zoom, zoom=1.6, mode="mirror", grid_mode=True)
    got = ours.zoom(x, 1.6, mode="mirror", grid_mode=True)
    assert np.abs(got - (zoom(x.real) + 1j * zoom(x.imag))).max() < 1e-13


def test_masks_and_half_precision() -> None:
    x = noise((9, 8)) > 0
    assert_same_bits(ours.zoom(x, 2.3, order=0), ndimage.zoom(x, 2.3, order=0))
    half = noise((9, 8), "float16")
    got = ours.zoom(half, 1.5)
    assert got.dtype == half.dtype
    assert np.abs(got - ndimage.zoom(half.astype(float), 1.5)).max() < 2**-10 * np.abs(half).max()


@pytest.mark.parametrize(
    ("dtype", "result"), [("uint8", "float64"), ("float64", "int16"), ("float32", "float64"), ("int32", "float32")]
)
def test_another_dtype_of_the_result(dtype: str, result: str) -> None:
    x = noise((28, 9), dtype) if dtype != "float64" else noise((28, 9)) * 100
    for order, mode in product((0, 1, 3), ("constant", "grid-wrap")):
        how = {"order": order, "mode": mode, "grid_mode": mode == "grid-wrap"}
        expected = ndimage.zoom(x, (1.5, 1), np.dtype(result), **how)
        array = np.empty(expected.shape, result)
        for output in (result, np.dtype(result), np.dtype(result).type, getattr(torch, result), array):
            got = ours.zoom(x, (1.5, 1), output, **how)
            assert error(got, expected, x) < 1e-7
            assert got is output or not isinstance(output, np.ndarray)


@pytest.mark.parametrize(("dtype", "result"), [("uint8", "float64"), ("float64", "uint8"), ("float32", "float64")])
@pytest.mark.parametrize("mode", MODES)
def test_another_dtype_where_nothing_is_summed(mode: Any, dtype: str, result: str) -> None:
    """Of a single sample, outputs are copies and constants alone."""
    x = np.array([5], dtype)
    for factor, order, grid in product((1, 2, 3, 4), (0, 1), (False, True)):
        how = {"order": order, "mode": mode, "cval": 7, "grid_mode": grid}
        expected = ndimage.zoom(x, factor, np.dtype(result), **how)
        assert error(ours.zoom(x, factor, result, **how), expected, x) < 1e-7


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("cval", [2.5, -1.5, 3])
def test_the_constant(dtype: str, cval: float) -> None:
    """Outputs that lie beyond the outermost samples are copies of it, in the dtype of the result."""
    x = noise((30, 6), "uint8")
    for order in (0, 1, 3):
        how = {"zoom": 2, "output": dtype, "order": order, "cval": cval, "grid_mode": True}
        if dtype == "uint8" and cval < 0:  # where SciPy casts
            assert not ours.zoom(x, **how)[[0, -1]].any()
        elif dtype == "uint8":
            got, expected = ours.zoom(x, **how), ndimage.zoom(x, **how)
            assert_same_bits(got[[0, -1]], expected[[0, -1]])
            assert_same_bits(got[:, [0, -1]], expected[:, [0, -1]])
        else:
            assert error(ours.zoom(x, **how), ndimage.zoom(x, **how), x) < 1e-7


@pytest.mark.parametrize("cval", [np.nan, np.inf, 1.7e308])
def test_a_constant_that_is_no_number_to_sum(cval: float) -> None:
    x = noise((30, 6))
    for order in (0, 1, 3):
        how = {"zoom": 2, "order": order, "cval": cval, "grid_mode": True}
        got, expected = ours.zoom(x, **how), ndimage.zoom(x, **how)
        assert np.isin(got[[0, -1]], cval).all() or np.isnan(got[[0, -1]]).all()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


def test_there_must_be_an_axis() -> None:
    with pytest.raises(ValueError, match=r"input must have at least one axis; got a 0-d array"):
        ours.zoom(np.zeros(()), 2)


def test_a_mirrored_spline_passes_through_its_samples() -> None:
    """On a short axis, SciPy's does not."""
    x = noise((3,))
    assert np.abs(ours.zoom(x, 5 / 3, order=5, mode="reflect")[::2] - x).max() < 1e-14
    assert np.abs(ndimage.zoom(x, 5 / 3, order=5, mode="reflect")[::2] - x).max() > 1e-6


def test_what_stays_as_it_is() -> None:
    x = noise((7, 6))
    for order in range(6):
        assert_same_bits(ours.zoom(x, 1, order=order), x)
    blurred = ndimage.zoom(x, (1.01, 2), prefilter=False, mode="mirror")
    assert error(ours.zoom(x, (1.01, 2), prefilter=False, mode="mirror"), blurred, x) < 1e-14


DTYPES = ["uint8", "complex64", "int16", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", seldom(DTYPES, {"uint8", "complex64"}))
def test_on_a_gpu(device: Any, dtype: str) -> None:
    """The bits of the CPU."""
    x = noise((17, 23), dtype)
    calls = [((1.6, 2), 0, "constant"), ((1.6, 2), 3, "mirror"), ((0.5, 1), 2, "grid-constant"), (2, 1, "grid-wrap")]
    for factor, order, mode in calls:
        how = {"order": order, "mode": mode}
        assert_same_bits(device(ours.zoom, x, zoom=factor, **how), ours.zoom(x, factor, **how))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"zoom": 2, "order": 6}, ValueError, ["order", "0", "5", "6"]),
        ({"zoom": 2, "order": 1.5}, TypeError, ["order", "1.5"]),
        ({"zoom": 2, "mode": "wrap"}, ValueError, ["mode", "'wrap'", "'mirror'"]),
        ({"zoom": (2, 2)}, ValueError, ["zoom", "(2, 2)", "1"]),
        ({"zoom": 0.01}, ValueError, ["zoom=0.01", "(0,)", "between 1 and"]),
        ({"zoom": 1e308}, ValueError, ["zoom=1e+308", "between 1 and"]),
        ({"zoom": 1e7}, ValueError, ["zoom=10000000.0", "(60000000,)", "58 weights"]),
        ({"zoom": -1}, ValueError, ["zoom=-1", "between 1 and"]),
        ({"zoom": 2, "cval": "x"}, TypeError, ["cval", "'x'"]),
        ({"zoom": 2, "cval": np.nan, "output": "uint8"}, ValueError, ["cval", "nan", "uint8"]),
        ({"zoom": 2, "grid_mode": 1}, TypeError, ["grid_mode", "1"]),
        ({"zoom": 2, "output": np.empty(3)}, ValueError, ["output", "(12,)", "(3,)"]),
        ({"zoom": 2, "output": "bool"}, TypeError, ["bool", "order=0"]),
        ({"zoom": 2, "output": "complex128"}, TypeError, ["output", "complex128", "float64"]),
        ({"zoom": 2, "output": "datetime64"}, TypeError, ["datetime64"]),
        ({"zoom": 2, "output": "double precision"}, TypeError, ["output", "double precision"]),
        ({"zoom": 2, "output": torch.qint8}, TypeError, ["output", "qint8", "NumPy"]),
    ],
)
def test_errors(arguments: dict[str, Any], error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        ours.zoom(noise((6,)), **arguments)
    assert all(word in str(caught.value) for word in words), caught.value
