"""Every dtype: how it is rounded, saturated and accumulated, and what a selection keeps."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests import references
from tests.cases import CASES, COMPLEX, DTYPES, FLOATS, INTEGERS, Case, dtype_of, noise
from tests.tolerances import assert_same_bits, assert_within

# Few, because every length of window is a kernel for every dtype.
SUMS = [case for case in CASES if case.name in ("interpolate-bilinear", "resize-lanczos3-antialias=True")]
SELECTIONS = [case for case in CASES if case.selects]
NAN, INFINITY = float("nan"), float("inf")
SHAPES = [((7, 6), (12, 17)), ((16, 15), (4, 3))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SUMS, ids=lambda case: case.name)
def test_sums(backend: Any, case: Case, dtype: str) -> None:
    for n_in, n_out in SHAPES if case.operator == "interpolate" else SHAPES[1:]:
        x = noise(case.shape(n_in), dtype)
        actual = case.call(backend, x, n_out)
        assert actual.dtype == x.dtype
        expected = case.expected(x, n_out)
        assert_within(actual, expected.value, expected.magnitude)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SELECTIONS, ids=lambda case: case.name)
def test_selections(backend: Any, case: Case, dtype: str) -> None:
    for n_in, n_out in SHAPES:
        for channels in (1, 3, 8):
            x = noise(case.shape(n_in, channels=channels), dtype)
            assert_same_bits(case.call(backend, x, n_out), case.selected(x, n_out))


# ---- integers --------------------------------------------------------------------------------------------------
def limits(dtype: str) -> tuple[int, int]:
    return (0, 1) if dtype == "bool" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def middle(backend: Any, pair: list[int], dtype: str) -> Any:
    """Return the mean of two samples: output 1 of 3 between them, with aligned corners."""
    return backend.resize(np.array(pair, dtype), 3, coordinates="align_corners")[1]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_ties_go_to_even(backend: Any, dtype: str) -> None:
    low, high = limits(dtype)
    for value in {0, 1, 2, 3, 100, max(low, -1), max(low, -2), max(low, -3), max(low, -101)}:
        expected = value if value % 2 == 0 else value + 1
        assert int(middle(backend, [value, value + 1], dtype)) == expected
    if np.dtype(dtype).itemsize < 8:
        assert int(middle(backend, [high - 1, high], dtype)) == high - 1
        assert int(middle(backend, [low, low + 1], dtype)) == low


def test_bool_is_rounded_like_an_integer(backend: Any) -> None:
    x = np.array([False, True])
    assert backend.resize(x, 4).tolist() == [False, False, True, True]
    assert not middle(backend, [0, 1], "bool")  # half goes to even


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS])
def test_cubic_overshoot_saturates(backend: Any, dtype: str) -> None:
    low, high = limits(dtype)
    step = np.array([low] * 5 + [high] * 5, dtype)
    formula = references.resize(step.astype(np.float64), size=40, axes=0, method="cubic").value
    span = float(high) - float(low)
    below, above = formula < low - span / 100, formula > high + span / 100
    assert below.sum() >= 2
    assert above.sum() >= 2
    actual = backend.resize(step, 40, method="cubic")
    assert (actual[below] == low).all()
    assert (actual[above] == high).all()


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_ends_of_64_bits_survive_a_sum(backend: Any, dtype: str) -> None:
    """2**63 as a float64 is beyond the largest int64: it has to be caught before it is converted."""
    for end in limits(dtype):
        assert (backend.resize(np.full(6, end, dtype), 12, method="cubic") == end).all()


@pytest.mark.parametrize("dtype", ["uint32", "int32", "uint64", "int64"])
def test_wide_integers_accumulate_in_float64(backend: Any, dtype: str) -> None:
    x = np.array([2**31 - 3, 2**31 - 1], dtype)
    assert backend.resize(x, 3, coordinates="align_corners").tolist() == [2**31 - 3, 2**31 - 2, 2**31 - 1]


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS])
def test_fill_value_of_integers(backend: Any, dtype: str) -> None:
    """Both ends of the range, exactly, whether samples are copied or summed."""
    x = np.zeros(4, dtype)
    for fill in limits(dtype):
        for method in ("nearest", "linear"):
            actual = backend.resize(x, 8, method=method, border="constant", fill_value=fill, box=[(-2, 6)])
            assert actual.tolist() == [fill] * 2 + [0] * 4 + [fill] * 2


# ---- selections ------------------------------------------------------------------------------------------------
def nearest_calls(backend: Any, x: Any) -> list[Any]:
    return [
        backend.resize(x, 2 * len(x), method="nearest"),
        backend.interpolate(x[None, None], 2 * len(x))[0, 0],
        backend.interpolate(x[None, None], scale_factor=2, mode="nearest-exact")[0, 0],
    ]


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        ("float16", np.array([0x7C01, 0xFE55, 0x8000, 0x7BFF], np.uint16)),
        ("bfloat16", np.array([0x7F81, 0xFFD5, 0x8000, 0x7F7F], np.uint16)),
        ("float32", np.array([0x7F800001, 0xFFC12345, 0x80000000, 1], np.uint32)),
        ("float64", np.array([0x7FF0000000000001, 0xFFF8000012345678, 1 << 63, 1], np.uint64)),
    ],
)
def test_nearest_keeps_nan_payloads(backend: Any, dtype: str, bits: Any) -> None:
    """Signalling and quiet ones, the sign of zero, and denormal numbers."""
    for actual in nearest_calls(backend, bits.view(dtype_of(dtype))):
        assert_same_bits(actual, np.repeat(bits, 2).view(dtype_of(dtype)))


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_nearest_keeps_large_integers(backend: Any, dtype: str) -> None:
    low, high = limits(dtype)
    x = np.array([2**53 + 1, high, high - 1, low, low + 1], dtype)
    for actual in nearest_calls(backend, x):
        assert_same_bits(actual, np.repeat(x, 2))


def test_a_resize_of_nothing_keeps_bits(backend: Any) -> None:
    """Where no axis changes, linear interpolation is a copy too."""
    x = np.array([0x7F800001, 0xFFC12345, 0x80000000], np.uint32).view(np.float32)
    assert_same_bits(backend.resize(x, 3), x)


# ---- short floats ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats_accumulate_in_float32(backend: Any, dtype: str) -> None:
    """The mean of many samples: an accumulator of 8 or 11 bits would stop counting."""
    x = np.ones(4096, dtype_of(dtype))
    x[::2] = 3
    assert backend.resize(x, 1, method="area").astype(np.float64).tolist() == [2.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_floats_are_not_rounded_between_the_axes(backend: Any, dtype: str) -> None:
    x = noise((24, 20), dtype)
    for method, antialias in (("linear", False), ("lanczos3", True)):
        arguments: dict[str, Any] = {"size": (10, 11), "method": method, "antialias": antialias}
        wide = backend.resize(x.astype(np.float32), **arguments)
        assert_same_bits(backend.resize(x, **arguments), wide.astype(x.dtype))


@pytest.mark.parametrize(("dtype", "largest"), [("float16", 65504.0), ("bfloat16", 3.3895e38)])
def test_short_floats_overflow_to_infinity(backend: Any, dtype: str, largest: float) -> None:
    step = np.array([-largest] * 4 + [largest] * 4).astype(dtype_of(dtype))
    actual = backend.resize(step, 16, method="cubic").astype(np.float64)
    assert actual[6] == -np.inf
    assert actual[9] == np.inf
    assert np.isfinite(actual[[7, 8]]).all()


@pytest.mark.parametrize(
    ("dtype", "below", "tie", "above"),
    [
        ("float16", 1.0, 1 + 2**-11, 1 + 2**-10),
        ("bfloat16", 1.0, 1 + 2**-8, 1 + 2**-7),
        ("float16", 2**-24, 1.5 * 2**-24, 2**-23),
        ("bfloat16", 2**-133, 1.5 * 2**-133, 2**-132),
        ("float16", 2048.0, 2049.0, 2050.0),
    ],
)
def test_short_floats_round_ties_to_even(backend: Any, dtype: str, below: float, tie: float, above: float) -> None:
    """The mean of two neighbours lies half-way between them, denormal numbers included."""
    x = np.array([below, above]).astype(dtype_of(dtype))
    result = middle(backend, x, dtype_of(dtype))
    assert result == np.array(tie).astype(dtype_of(dtype))
    assert result.view(np.uint16) % 2 == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("fill", [0.1, -1 / 3, 1 + 3 * 2**-8, 1 + 2**-8, 1 + 3 * 2**-11, 1e-6, NAN, -INFINITY])
def test_fill_value_is_rounded_to_the_dtype(backend: Any, fill: float, dtype: str) -> None:
    x = np.zeros(2, dtype_of(dtype))
    actual = backend.resize(x, 4, method="nearest", border="constant", fill_value=fill, box=[(-1, 3)])
    assert np.array_equal(actual[[0, 3]], np.full(2, fill).astype(x.dtype), equal_nan=True)


@pytest.mark.parametrize(("dtype", "fill"), [("float16", 1e6), ("bfloat16", 1e60), ("float32", -1e60)])
def test_fill_value_beyond_the_range_is_infinite(backend: Any, dtype: str, fill: float) -> None:
    for method in ("nearest", "linear"):
        actual = backend.resize(
            np.zeros(2, dtype_of(dtype)), 4, method=method, border="constant", fill_value=fill, box=[(-1, 3)]
        )
        assert actual.astype(np.float64).tolist() == [np.copysign(np.inf, fill), 0, 0, np.copysign(np.inf, fill)]


# ---- NaN and infinity ------------------------------------------------------------------------------------------
FINITE_SUPPORT = [
    {"method": "linear"},
    {"method": "cubic"},
    {"method": "area"},
    {"method": "lanczos3", "antialias": True},
    {"method": "linear", "border": "renormalize"},
    {"method": "cubic", "border": "constant", "fill_value": 2.0},
    {"method": "box", "antialias": True},
    {"method": "cubic", "border": "wrap"},
]


@pytest.mark.parametrize("bad", [NAN, INFINITY])
@pytest.mark.parametrize(
    ("arguments", "dtype"),
    [
        *((arguments, "float64") for arguments in FINITE_SUPPORT),
        *(({"method": "linear"}, dtype) for dtype in (*FLOATS[:-1], *COMPLEX)),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_nan_and_inf_stay_within_the_support(backend: Any, arguments: dict[str, Any], bad: float, dtype: str) -> None:
    maps = dict(arguments)
    maps.pop("fill_value", None)
    for size in ((14, 5), (4, 11)):
        rows, columns = references.resize_maps((8, 9), size=size, axes=(0, 1), **maps).values()
        for at in ((0, 0), (3, 5), (7, 8)):
            x = np.ones((8, 9), dtype_of(dtype))
            x[at] = bad
            touched = np.outer(rows.support[:, at[0]], columns.support[:, at[1]])
            finite = np.isfinite(backend.resize(x, size, **arguments).astype(np.complex128))
            assert finite[~touched].all()
            weighed = np.outer(rows.weight[:, at[0]], columns.weight[:, at[1]])
            assert not finite[np.abs(weighed) > 1e-3].any()


@pytest.mark.parametrize("bad", [NAN, INFINITY])
@pytest.mark.parametrize("method", ["linear", "hamming", "cubic", "lanczos2", "lanczos5", "spline3"])
def test_nan_and_inf_stay_where_they_are_on_an_axis_that_is_kept(backend: Any, method: str, bad: float) -> None:
    x = np.arange(36.0).reshape(4, 9)
    x[2, 5] = bad
    for options in ({}, {"antialias": True}, {"coordinates": "align_corners"}, {"border": "reflect"}):
        assert np.array_equal(backend.resize(x, (4, 9), method=method, **options), x, equal_nan=True)
        finite = np.isfinite(backend.resize(x, (2, 9), method=method, **options))
        assert np.delete(finite, 5, axis=1).all()


@pytest.mark.parametrize("method", ["gaussian", "mitchell"])
def test_a_filter_that_blurs_does_so_on_an_axis_that_is_kept(backend: Any, method: str) -> None:
    assert np.isnan(backend.resize(np.array([0, 0, NAN, 0, 0]), 5, method=method)).tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize("channels", [1, 9])
@pytest.mark.parametrize("fill", [NAN, INFINITY, -INFINITY])
def test_an_infinite_fill_value_stays_outside(backend: Any, fill: float, channels: int) -> None:
    x = np.ones((4, 4, channels))
    for method in ("nearest", "linear", "cubic"):
        arguments: dict[str, Any] = {"size": (8, 8), "method": method, "border": "constant", "box": [(-2, 6), (-2, 6)]}
        actual = backend.resize(x, fill_value=fill, **arguments)
        maps = references.resize_maps(x.shape, axes=(0, 1), **arguments)
        rows, columns = (m.outside != 0 for m in maps.values())
        finite = ~(rows[:, None] | columns)
        assert np.array_equal(np.isfinite(actual), np.broadcast_to(finite[..., None], actual.shape))


def test_infinities_of_one_sign_stay_infinite(backend: Any) -> None:
    assert backend.resize(np.full(3, INFINITY), 7).tolist() == [INFINITY] * 7
    assert backend.resize(np.full(3, -INFINITY, np.float16), 7).astype(float).tolist() == [-INFINITY] * 7


def test_zero_keeps_its_sign(backend: Any) -> None:
    assert np.signbit(backend.resize(np.full(3, -0.0), 7)).all()
    assert not np.signbit(backend.resize(np.full(3, 0.0), 7)).any()


# ---- complex ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", COMPLEX)
def test_complex_is_two_real_arrays(backend: Any, dtype: str) -> None:
    x = noise((2, 3, 7, 6), dtype)
    for arguments in ({"size": (9, 11), "mode": "bicubic"}, {"size": (9, 11)}):
        actual = backend.interpolate(x, **arguments)
        assert_same_bits(actual.real.copy(), backend.interpolate(x.real.copy(), **arguments))
        assert_same_bits(actual.imag.copy(), backend.interpolate(x.imag.copy(), **arguments))


def test_bfloat16_is_the_one_of_ml_dtypes(backend: Any) -> None:
    assert backend.resize(np.ones(3, ml_dtypes.bfloat16), 5).dtype == ml_dtypes.bfloat16
