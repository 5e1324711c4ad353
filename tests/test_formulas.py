"""`resize` against the float64 formulas of `tests/references.py`, and the properties that follow from them."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom

from gpu_upsample.plan.coordinates import Axis, source_coordinates
from gpu_upsample.plan.resample import Sampling, axis_map, plan_resize, plan_resize_backward
from gpu_upsample.plan.taps import AxisMap, Gathered, Taps
from tests import references
from tests.cases import CASES, Case, noise
from tests.tolerances import assert_same_bits, assert_within

FILTERS = tuple(references.FILTERS)
METHODS = (*FILTERS, "area", "nearest")
SCALES = [0.2, 0.3, 0.5, 0.6, 0.75, 1.0, 1.1, 1.7, 2.0, 2.5, 3.0]


def assert_like_formula(backend: Any, x: Any, fill_value: float = 0.0, **arguments: Any) -> None:
    actual = backend.resize(x, fill_value=fill_value, **arguments)
    expected = references.resize(x, fill_value, **arguments)
    assert_within(actual, expected.value, expected.magnitude)


# ---- the table -------------------------------------------------------------------------------------------------
SINGLE = [case for case in CASES if case.operator == "interpolate"]


@pytest.mark.parametrize(
    ("case", "dtype"),
    [*((case, "float64") for case in CASES), *((case, "float32") for case in SINGLE)],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_case(backend: Any, case: Case, dtype: str) -> None:
    for rank, (n_in, n_out) in product(case.ranks, [(7, 12), (12, 7)]):
        x = noise(case.shape((n_in, 6, 9)[:rank]), dtype)
        size = (n_out, 4, 9)[:rank]
        if case.selects:
            assert_same_bits(case.call(backend, x, size), case.selected(x, size))
            continue
        expected = case.expected(x, size)
        assert_within(case.call(backend, x, size), expected.value, expected.magnitude)


# ---- one axis, everything that `resize` has --------------------------------------------------------------------
@st.composite
def sampled_axis(draw: Any) -> tuple[int, dict[str, Any]]:
    """Draw the length of an axis and the arguments of `resize` for it."""
    n = draw(st.integers(1, 14))
    method = draw(st.sampled_from(METHODS))
    arguments: dict[str, Any] = {
        "method": method,
        "border": draw(st.sampled_from(list(references.BORDERS))),
        "fill_value": draw(st.sampled_from([0.0, -3.25])),
    }
    if method != "area":
        arguments["coordinates"] = draw(st.sampled_from(list(references.COORDINATES)))
    if method == "nearest":
        arguments["nearest_rounding"] = draw(st.sampled_from(list(references.ROUNDINGS)))
    if method == "cubic":
        arguments["cubic_coeff"] = draw(st.sampled_from([-0.5, -0.75, -1.0]))
    if method in FILTERS:
        arguments["antialias"] = draw(st.booleans())
    length = n
    if draw(st.booleans()):
        start = draw(st.sampled_from([-2.5, -1.0, 0.0, 0.75, 3.0]))
        length = draw(st.sampled_from([1.0, 2.5, 6.0, 11.25]))
        arguments["box"] = [(start, start + length)]
        # Far outside, the weights that are left to renormalise are small, and their errors grow.
        assume(arguments["border"] != "renormalize" or (start >= 0 and start + length <= n))
    if draw(st.booleans()):
        arguments["size"] = draw(st.integers(1, 20))
    else:
        arguments["scale"] = draw(st.sampled_from(SCALES))
        assume(int(length * arguments["scale"]) >= 1)
    return n, arguments


@settings(max_examples=60)
@given(drawn=sampled_axis(), inner=st.sampled_from([1, 9]))
def test_any_axis(backend: Any, drawn: tuple[int, dict[str, Any]], inner: int) -> None:
    n, arguments = drawn
    assert_like_formula(backend, noise((2, n, inner)), axes=1, **arguments)


@settings(max_examples=500)
@given(drawn=sampled_axis())
def test_any_taps(drawn: tuple[int, dict[str, Any]]) -> None:
    n, arguments = drawn
    del arguments["fill_value"]
    expected = references.resize_maps((n,), axes=0, **arguments)[0]
    scale, (box,) = arguments.pop("scale", None), arguments.pop("box", (None,))
    arguments.pop("size", None)
    taps = axis_map(Axis(n, len(expected.weight), scale, box), Sampling(**arguments))
    leaves = box is not None and (box[0] < 0 or box[1] > n)
    assert_tables_agree(taps, expected, arguments["border"] in (*WIDENED, *(["symmetric"] if leaves else [])))


@pytest.mark.parametrize("method", METHODS)
def test_taps_of_every_size(method: str) -> None:
    """Weights, windows and constants of whole tables: no window may hold a sample outside the filter's support."""
    rules = ["half_pixel"] if method == "area" else list(references.COORDINATES)
    choices = list(product(rules, list(references.BORDERS), [False, True] if method in FILTERS else [False]))
    for number, (n_in, n_out) in enumerate(product(range(1, 25), range(1, 25))):
        rule, border, antialias = choices[number * 7 % len(choices)]
        expected = references.axis_map(n_in, n_out, method, rule, antialias, border)
        taps = axis_map(Axis(n_in, n_out), Sampling(method, rule, antialias, border))
        assert_tables_agree(taps, expected, border in WIDENED)


# Windows with these borders reach further in than their neighbours, which are widened to keep the ends in order.
WIDENED = ("extrapolate", "reflect")


def assert_tables_agree(mapping: AxisMap, expected: references.AxisMap, widened: bool) -> None:
    if not isinstance(mapping, Taps | Gathered):
        assert np.array_equal(mapping, expected.index)
        return
    n = expected.weight.shape[1]
    scale = max(1, np.abs(expected.weight).max())
    gathered = mapping if isinstance(mapping, Gathered) else Gathered(n, np.arange(n), mapping)
    assert np.abs(gathered.matrix() - expected.weight).max() < 1e-13 * scale
    taps = gathered.taps
    assert np.abs((0 if taps.outside is None else taps.outside) - expected.outside).max() < 1e-13 * scale
    samples = np.arange(taps.n_in)
    windows = (samples >= taps.start[:, None]) & (samples < (taps.start + taps.count)[:, None])
    reached = windows @ np.eye(n, dtype=np.int64)[gathered.source] > 0
    if np.array_equal(reached, np.eye(n)) and taps.n_out == n:
        return  # samples that stay what they are may stand alone, whatever the filter's support
    assert np.array_equal(reached, expected.support) or (widened and np.all(reached >= expected.support))
    assert isinstance(mapping, Taps) or windows.any(axis=0).all()  # nothing is gathered in vain


# ---- several axes ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((9,), (0,)),
        ((9, 7), (0, 1)),
        ((9, 7, 3), (0, 1)),
        ((2, 9, 7), (1, 2)),
        ((5, 2, 6), (0, 2)),
        ((5, 2, 6), (2, 0)),
        ((5, 6, 4, 2), (0, 1, 2)),
        ((5, 6, 4, 3), (-1, -4)),
        ((3, 4, 5, 2), (0, 1, 2, 3)),
        ((2, 5, 3, 4, 2), (1, 3)),
        ((40, 1, 6, 40), (0, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_axes(backend: Any, shape: tuple[int, ...], axes: tuple[int, ...], method: str) -> None:
    for size in ((8, 11, 5, 3), (4, 2, 3, 6)):
        assert_like_formula(backend, noise(shape), size=size[: len(axes)], axes=axes, method=method)


@given(data=st.data())
def test_one_method_and_border_per_axis(backend: Any, data: st.DataObject) -> None:
    rank = data.draw(st.integers(2, 4))
    axes = tuple(data.draw(st.permutations(range(rank)))[: data.draw(st.integers(2, rank))])
    draw_each = lambda values: tuple(data.draw(st.sampled_from(values)) for _ in axes)  # noqa: E731
    arguments: dict[str, Any] = {
        "axes": axes,
        "method": draw_each(["linear", "nearest", "area", "box"]),
        "border": draw_each(list(references.BORDERS)),
        "fill_value": data.draw(st.sampled_from([0.0, 2.5])),
        "size": tuple(data.draw(st.integers(1, 9)) for _ in axes),
    }
    if data.draw(st.booleans()):
        arguments["box"] = draw_each([(-1.5, 2.0), (0.0, 4.0), (1.25, 3.0)])
    shape = tuple(data.draw(st.integers(1, 6)) for _ in range(rank))
    assert_like_formula(backend, noise(shape), **arguments)


@pytest.mark.parametrize(
    ("shape", "arguments", "axes"),
    [
        ((6,), {"size": 4}, (0,)),
        ((6,), {"scale": 1.5}, (0,)),
        ((6, 4), {"scale": 1.5}, (0, 1)),
        ((6, 4), {"size": (3,)}, (0,)),
        ((6, 4), {"size": (3, 5)}, (0, 1)),
        ((6, 4, 3), {"size": (3, 5)}, (0, 1)),
        ((6, 4, 3), {"scale": (0.5, 2)}, (0, 1)),
        ((6, 4, 3), {"size": (3, 5, 4)}, (0, 1, 2)),
        ((6, 4, 3, 2), {"size": [3, 5, 4]}, (0, 1, 2)),
    ],
)
def test_default_axes(backend: Any, shape: Any, arguments: dict[str, Any], axes: tuple[int, ...]) -> None:
    x = noise(shape)
    assert_same_bits(backend.resize(x, **arguments), backend.resize(x, axes=axes, **arguments))


def test_scale_of_a_box_counts_the_box(backend: Any) -> None:
    x = noise((8,))
    half = backend.resize(x, scale=2, box=[(2, 6)], border="renormalize")
    assert half.shape == (8,)
    assert_same_bits(half[1:-1], backend.resize(x, scale=2)[5:11])


@pytest.mark.parametrize("method", FILTERS)
def test_a_window_beyond_the_array_takes_the_nearest_sample(backend: Any, method: str) -> None:
    """Samples -1, -2 …: nothing is left to renormalise, or what is left adds up to zero."""
    x = noise((9,))
    outer = backend.resize(x, 5, method=method, border="renormalize", box=[(-6, -1)], coordinates="asymmetric")
    assert np.abs(outer - x[0]).max() < 1e-12


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2), (3, 2, 4, 2)], ids=str)
def test_a_constant_around_selected_samples(backend: Any, shape: tuple[int, ...]) -> None:
    """Beyond any one end of any axis."""
    arguments: dict[str, Any] = {
        "size": tuple(n + 3 for n in shape),
        "axes": tuple(range(len(shape))),
        "box": [(-1, n + 2) for n in shape],
        "method": "nearest",
        "border": "constant",
    }
    padded = np.pad(noise(shape), [(1, 2)] * len(shape), constant_values=-7.5)
    assert_same_bits(backend.resize(noise(shape), fill_value=-7.5, **arguments), padded)


# ---- long windows and arrays that are worth several threads ----------------------------------------------------
@pytest.mark.parametrize(("n_in", "n_out"), [(500, 7), (997, 3), (64, 1), (1, 64), (333, 1000)])
@pytest.mark.parametrize("method", ["lanczos3", "area"])
def test_large_ratios(backend: Any, method: str, n_in: int, n_out: int) -> None:
    for shape, axis in (((n_in, 2), 0), ((2, n_in), 1)):
        x = noise(shape)
        arguments = {"size": n_out, "axes": axis, "method": method, "antialias": method != "area"}
        expected = references.resize(x, **arguments)
        assert np.abs(backend.resize(x, **arguments) - expected.value).max() < 1e-12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_rows(backend: Any, dtype: str) -> None:
    x = noise((3, 150, 130), dtype)
    expected = references.resize(x, size=(211, 97), axes=(1, 2))
    bands = 20 if dtype == "float64" else 1  # coordinates of 150 have fewer digits left than those of 10
    assert_within(backend.resize(x, (211, 97), axes=(1, 2)), expected.value, bands * expected.magnitude)


# ---- properties ------------------------------------------------------------------------------------------------
SYMMETRIC = tuple(method for method in FILTERS if method != "box")  # a box counts one rim and not the other


@pytest.mark.parametrize("coordinates", references.COORDINATES)
@pytest.mark.parametrize("method", FILTERS)
def test_constants_stay(backend: Any, method: str, coordinates: str) -> None:
    x = np.full((7, 5), 100.0)
    for border, antialias in product(references.BORDERS, [False, True]):
        actual = backend.resize(
            x,
            (10, 3),
            method=method,
            coordinates=coordinates,
            border=border,
            antialias=antialias,
            fill_value=100,
        )
        assert np.abs(actual - 100).max() < 1e-12


@given(seed=st.integers(0, 99), a=st.floats(-3, 3), b=st.floats(-3, 3), method=st.sampled_from(["cubic", "lanczos2"]))
def test_linear_in_the_values(backend: Any, seed: int, a: float, b: float, method: str) -> None:
    x, y = noise((6, 5), seed=seed), noise((6, 5), seed=seed + 100)
    resized = lambda values: backend.resize(values, (9, 4), method=method)  # noqa: E731
    assert np.abs(resized(a * x + b * y) - (a * resized(x) + b * resized(y))).max() < 1e-13


@pytest.mark.parametrize("method", METHODS)
def test_axes_may_be_permuted(backend: Any, method: str) -> None:
    x = noise((6, 5, 4))
    arguments = {"method": method, "axes": (0, 2)}
    one = backend.resize(x, (4, 7), **arguments)
    other = backend.resize(x.T, (7, 4), **arguments).T
    assert np.abs(one - other).max() < 1e-14


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7, 8, 9, 33])
@pytest.mark.parametrize("method", ["linear", "cubic", "nearest"])
def test_channels_are_independent(backend: Any, method: str, channels: int) -> None:
    """Bit for bit, whichever loop a number of channels selects."""
    x = noise((6, 5, channels), "float32")
    whole = backend.resize(x, (9, 4), method=method)
    for channel in {0, channels // 2, channels - 1}:
        one = backend.resize(np.ascontiguousarray(x[..., channel]), (9, 4), method=method)
        assert_same_bits(np.ascontiguousarray(whole[..., channel]), one)


@pytest.mark.parametrize("coordinates", ["half_pixel", "align_corners", "half_pixel_symmetric"])
@pytest.mark.parametrize("method", SYMMETRIC)
def test_mirror_images(backend: Any, method: str, coordinates: str) -> None:
    x = noise((9,))
    for size, border, antialias in product([4, 7, 20], references.BORDERS, [False, True]):
        arguments = {"method": method, "coordinates": coordinates, "border": border, "antialias": antialias}
        mirrored = backend.resize(x[::-1].copy(), size, **arguments)
        assert np.abs(mirrored[::-1] - backend.resize(x, size, **arguments)).max() < 1e-13


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("coordinates", references.COORDINATES)
@pytest.mark.parametrize("method", ["linear", "cubic", "lanczos3", "hamming", "box", "area", "nearest"])
def test_ratio_one_is_the_identity(backend: Any, method: str, coordinates: str, antialias: bool) -> None:
    if method in ("area", "nearest"):
        coordinates, antialias = "half_pixel", False
    x = noise((6, 5))
    actual = backend.resize(x, (6, 5), method=method, coordinates=coordinates, antialias=antialias)
    if coordinates == "half_pixel_corners":  # half a step before the first centre
        return
    if method in ("linear", "box", "area", "nearest", "cubic"):
        assert_same_bits(actual, x)
    assert np.abs(actual - x).max() < 1e-15 * 5


def test_linear_reproduces_a_line(backend: Any) -> None:
    """Extrapolation continues it beyond both ends."""
    x = 2 * np.arange(7.0) - 5
    for box in [(0, 7), (-3.5, 9), (-8, -6), (20, 30)]:
        centres = box[0] + (np.arange(12) + 0.5) * (box[1] - box[0]) / 12 - 0.5
        assert np.abs(backend.resize(x, 12, border="extrapolate", box=[box]) - (2 * centres - 5)).max() < 1e-12


@pytest.mark.parametrize("border", ["symmetric", "reflect", "wrap"])
@pytest.mark.parametrize("method", METHODS)
def test_samples_beyond_an_array_are_those_that_numpy_pads_with(backend: Any, method: str, border: Any) -> None:
    """Whatever the box: the same part of an array that holds them."""
    x = noise((3, 4))
    for scale, (low, high) in product(
        [(3.0, 0.7), (0.4, 2.5)], [((0, 0), (3, 4)), ((-5.5, -2), (1.25, 9)), ((4, 5), (8, 7))]
    ):
        boxes = tuple(zip(low, high, strict=True))
        inside = tuple((start + 200, stop + 200) for start, stop in boxes)
        how = {"scale": scale, "method": method, "antialias": method != "nearest"}
        padded = np.pad(x, 200, mode=border)
        actual = backend.resize(x, **how, border=border, box=boxes)
        assert np.abs(actual - backend.resize(padded, **how, box=inside)).max() < 1e-13


@pytest.mark.parametrize("border", ["symmetric", "reflect", "wrap"])
def test_boxes_far_outside(backend: Any, border: Any) -> None:
    """The same as near, by whole periods: tables are no longer for it."""
    x = noise((50, 3))
    period = {"symmetric": 100, "reflect": 98, "wrap": 50}[border]
    for (low, high), away in product(((-20, 30), (5, 90)), (10**7, -(10**7))):
        box = (low + period * away, high + period * away)
        near, far = (
            backend.resize(x, 70, axes=0, method="cubic", border=border, box=[each]) for each in ((low, high), box)
        )
        assert np.abs(near - far).max() < 1e-5  # a coordinate of 1e9 has few digits left
        assert summed_by(axis_map(Axis(50, 70, None, box), Sampling("cubic", border=border))).width <= 4


ROUNDS = [(64, 64, 10), (64, 16, 100), (8, 16, 11250)]


@pytest.mark.parametrize(("n", "size", "rounds"), ROUNDS)
@pytest.mark.parametrize("border", ["symmetric", "reflect", "wrap"])
def test_boxes_of_many_rounds_need_little_room(border: str, n: int, size: int, rounds: int) -> None:
    """What lies between two steps is not of the length of all boxes."""
    arguments = (border, (size,) * 3, None, None, "linear", True, "half_pixel", "floor", -0.5, [(0, n * rounds)] * 3)
    forward = plan_resize((n,) * 3, "float32", 0, *arguments)
    backward = plan_resize_backward((size,) * 3, "float32", (n,) * 3, 0, *arguments)
    for plan in (forward, backward):
        assert max(prod(step.shape_out) for step in plan.steps) <= 12 * max(n, size) ** 3


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128", "uint8"])
@pytest.mark.parametrize("border", ["symmetric", "reflect", "wrap", ("wrap", "symmetric", "constant")])
def test_boxes_of_many_rounds(backend: Any, border: Any, dtype: str) -> None:
    """Axis by axis, and rounded once."""
    x = noise((9, 8, 5, 2), dtype)
    for antialias, size in product([False, True], [(7, 6, 9), (40, 30, 3)]):
        arguments = {
            "size": size, "axes": (0, 1, 2), "antialias": antialias, "border": border, "fill_value": 2,
            "box": [(-20, 31), (5, 77), (-1, 6)],
        }  # fmt: skip
        if dtype.startswith("complex"):
            arguments["fill_value"] = 0
        expected = references.resize(x, **arguments)
        assert_within(backend.resize(x, **arguments), expected.value, expected.magnitude, dtype)


@pytest.mark.parametrize("dtype", ["float16", "int64"])
def test_rounds_beside_other_axes(backend: Any, dtype: str) -> None:
    arguments = {
        "size": (7, 30, 9, 5), "axes": (0, 1, 2, 3), "method": ("linear", "nearest", "cubic", "linear"),
        "border": ("wrap", "wrap", "clamp", "symmetric"), "box": [(-20, 31), (0, 8), (0, 5), (3, 40)],
    }  # fmt: skip
    x = noise((9, 8, 5, 4), dtype)
    expected = references.resize(x, **arguments)
    assert_within(backend.resize(x, **arguments), expected.value, expected.magnitude, dtype)


@pytest.mark.parametrize("border", ["symmetric", "reflect", "wrap"])
def test_whole_steps_copy(backend: Any, border: Any) -> None:
    """All bits of integers, since nothing is summed."""
    x = 2**62 + np.arange(7)
    actual = backend.resize(x, 21, border=border, box=[(-10, 11)])
    assert_same_bits(actual, np.pad(x, 10, mode=border)[:21])


@pytest.mark.parametrize(
    ("border", "mode"),
    [
        ("clamp", "nearest"),
        ("symmetric", "reflect"),
        ("reflect", "mirror"),
        ("wrap", "grid-wrap"),
        ("constant", "grid-constant"),
    ],
)
def test_borders_of_scipy(backend: Any, border: Any, mode: str) -> None:
    """scipy.ndimage's `zoom` measures between pixel edges with `grid_mode=True`, and has other names for borders."""
    x = noise((5, 7))
    for scale in (3.0, 2.0, 1.6):
        expected = zoom(x, scale, order=1, mode=mode, grid_mode=True, cval=2.5)
        actual = backend.resize(x, expected.shape, border=border, fill_value=2.5)
        assert np.abs(actual - expected).max() < 1e-13


def test_enlarging_by_a_whole_number_repeats_nearest_samples(backend: Any) -> None:
    x = noise((4, 3))
    assert_same_bits(backend.resize(x, scale=3, method="nearest"), np.repeat(np.repeat(x, 3, 0), 3, 1))


def test_area_sees_nothing_beyond_its_blocks(backend: Any) -> None:
    for block in range(2, 100):
        x = np.where(np.arange(5 * block) == block, np.inf, 1.0)
        assert np.flatnonzero(np.isinf(backend.resize(x, scale=1 / block, method="area"))).tolist() == [1]


def test_symmetric_coordinates_are_exact() -> None:
    for n, scale in product(range(1, 60), (1.5, 0.75, 2.25, 2.5, 1 / 3, 2 / 3, 5 / 3, 0.1, 1.37)):
        axis = Axis(n, int(n * scale), scale)
        if axis.n_out:
            coordinate, _ = source_coordinates("half_pixel_symmetric", axis)
            ends = [Fraction(2 * o + 1 - axis.n_out) / references.meant(scale) for o in range(axis.n_out)]
            exact = [(end + n - 1) / 2 for end in ends]
            assert coordinate.tolist() == [float(place) for place in exact]


def test_area_of_a_whole_ratio_is_the_block_mean(backend: Any) -> None:
    x = noise((6, 9))
    means = x.reshape(3, 2, 3, 3).mean(axis=(1, 3))
    assert np.abs(backend.resize(x, (3, 3), method="area") - means).max() < 1e-15


# ---- the transposed table --------------------------------------------------------------------------------------
TRANSPOSED = [(m, r, a) for m, r, a in product(FILTERS, references.COORDINATES, [False, True])]


@pytest.mark.parametrize("border", references.BORDERS)
def test_transposed_tables(border: str) -> None:
    """Over thousands of sizes: the transpose is a table of windows again, and its own transpose the first table."""
    for number, (n_in, n_out) in enumerate(product(range(1, 41), range(1, 41))):
        method, rule, antialias = TRANSPOSED[number * 7 % len(TRANSPOSED)]
        mapping = axis_map(Axis(n_in, n_out), Sampling(method, rule, antialias, border))
        taps = summed_by(mapping)
        matrix = taps.matrix()
        assert np.array_equal(taps.T.matrix(), matrix.T)
        assert np.array_equal(taps.T.T.matrix(), matrix)
        for table in (taps, taps.T):
            assert_well_formed(table)
            assert table.overlap == brute_force_overlap(table)


def summed_by(mapping: AxisMap) -> Taps:
    taps = mapping.taps if isinstance(mapping, Gathered) else mapping
    assert isinstance(taps, Taps)
    return taps


def assert_well_formed(taps: Taps) -> None:
    """Windows lie inside the axis, their ends never decrease, and what is not a tap is zero."""
    ends = taps.start + taps.count
    assert taps.start.min() >= 0
    assert ends.max() <= taps.n_in
    assert taps.count.min() >= 0
    assert taps.count.max() <= taps.width
    assert (np.diff(taps.start) >= 0).all()
    assert (np.diff(ends) >= 0).all()
    assert not taps.weight[np.arange(taps.width) >= taps.count[:, None]].any()


def brute_force_overlap(taps: Taps) -> int:
    """The most windows between the first and the last, both included, that share a sample with one window's end."""
    most = 1
    for first in range(taps.n_out):
        end = taps.start[first] + taps.count[first]
        reaching = [o for o in range(taps.n_out) if taps.start[o] <= end - 1]
        most = max(most, (max(reaching) + 1 - first) if reaching else 1)
    return most


@given(
    n_in=st.integers(1, 30),
    n_out=st.integers(1, 30),
    method=st.sampled_from([*FILTERS, "area"]),
    antialias=st.booleans(),
    border=st.sampled_from(list(references.BORDERS)),
)
def test_adjoint(n_in: int, n_out: int, method: str, antialias: bool, border: str) -> None:
    """<A x, g> = <x, A^T g>, with the sums formed as a kernel forms them."""
    taps = summed_by(
        axis_map(Axis(n_in, n_out), Sampling(method, "half_pixel", antialias and method != "area", border))
    )
    x, g = noise((taps.n_in,)), noise((n_out,), seed=1)
    assert abs(gathered(taps, x) @ g - x @ gathered(taps.T, g)) <= 1e-12 * (1 + np.abs(x).sum() * np.abs(g).sum())


def gathered(taps: Taps, x: Any) -> Any:
    windows = zip(taps.start, taps.count, taps.weight, strict=True)
    return np.array([weight[:count] @ x[start : start + count] for start, count, weight in windows])


def test_slices_of_tables() -> None:
    taps = axis_map(Axis(9, 20), Sampling("lanczos3", border="constant"))
    assert isinstance(taps, Taps)
    part = taps[5:11]
    assert np.array_equal(part.matrix(), taps.matrix()[5:11])
    assert np.array_equal(part.outside, taps.outside[5:11])  # type: ignore[index]
