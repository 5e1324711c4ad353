"""`compat.onnx` against ONNX's reference evaluator and, where that departs from it, the specification.

The evaluator's operators are called directly, without a model around them: attributes then keep their float64 values.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest

from gpu_upsample.compat import onnx
from tests.cases import DTYPES, noise
from tests.tolerances import assert_same_bits, assert_within

ops = pytest.importorskip("onnx.reference.ops")
from onnx.reference.ops.op_col2im import Col2Im  # noqa: E402
from onnx.reference.ops.op_conv_transpose import ConvTranspose  # noqa: E402
from onnx.reference.ops.op_depth_to_space import DepthToSpace  # noqa: E402
from onnx.reference.ops.op_max_pool import MaxPool  # noqa: E402
from onnx.reference.ops.op_max_unpool import MaxUnpool  # noqa: E402
from onnx.reference.ops.op_resize import Resize, _compute_x_ori  # noqa: E402
from onnx.reference.ops.op_space_to_depth import SpaceToDepth  # noqa: E402

RULES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
CROP = "tf_crop_and_resize"
ROUNDINGS = {
    "round_prefer_floor": lambda c: ceil(c - Fraction(1, 2)),
    "round_prefer_ceil": lambda c: floor(c + Fraction(1, 2)),
    "floor": floor,
    "ceil": ceil,
}


# ---- Resize: the specification's formulas, in exact fractions ------------------------------------------------
def geometry(n, scale, size, policy, policy_scale, extent):
    """Return the exact scale and output length of an axis."""
    if scale is not None:
        return Fraction(scale), floor(n * extent * Fraction(scale))
    if policy == "stretch":
        return Fraction(size, n), size
    return policy_scale, floor(policy_scale * n + Fraction(1, 2))


def specified(rule, n, m, scale, roi=(0, 1)):
    """Return the coordinates of the m outputs of an axis of n samples."""
    half, last = Fraction(1, 2), n - 1
    start, end = map(Fraction, roi)
    formulas = {
        "half_pixel": lambda o: (o + half) / scale - half,
        "half_pixel_symmetric": lambda o: Fraction(n, 2) * (1 - m / (n * scale)) + (o + half) / scale - half,
        "pytorch_half_pixel": lambda o: (o + half) / scale - half if m > 1 else Fraction(0),
        "align_corners": lambda o: Fraction(o * last, m - 1) if m > 1 else Fraction(0),
        "asymmetric": lambda o: o / scale,
        CROP: lambda o: (
            start * last + o * (end - start) * last / (m - 1) if m > 1 else (start + end) * last / 2
        ),
    }  # fmt: skip
    return [formulas[rule](Fraction(o)) for o in range(m)]


def draw(random, modes, ranks=(1, 2, 3), shortest=1):
    """Return a random array shape with the arguments of a Resize, and its axes as (axis, scale, length, roi)."""
    rank = int(random.choice(ranks))
    shape = tuple(int(n) for n in random.integers(shortest, 8, rank))
    axes = [int(a) for a in random.permutation(rank)[: random.integers(1, rank + 1)]]
    rule = str(random.choice([*RULES, CROP]))
    options = {
        "mode": str(random.choice(modes)),
        "coordinate_transformation_mode": rule,
        "cubic_coeff_a": float(random.choice([-0.75, -0.5])),
        "nearest_mode": str(random.choice(list(ROUNDINGS))),
        "extrapolation_value": float(random.choice([0, 10, -3.5])),
        "keep_aspect_ratio_policy": str(random.choice(["stretch", "not_larger", "not_smaller"])),
        "axes": axes,
    }
    if options["mode"] != "nearest":
        options["antialias"], options["exclude_outside"] = (
            int(ranks == (1,) and shortest == 1 and random.integers(2)),
            int(random.integers(2)),
        )
    rois = [(0, 1)] * len(axes)
    if rule == CROP:
        rois = [tuple(float(edge) for edge in random.integers(-3, 12, 2) / 8) for _ in axes]
        options["roi"] = [start for start, _ in rois] + [end for _, end in rois]
    lengths = [shape[a] for a in axes]
    scales, sizes = [None] * len(axes), [None] * len(axes)
    if random.integers(2) and rule != CROP:
        # A scale within rounding of a simple fraction counts as that: here they are such fractions, or far from any.
        scales = [float(random.choice([0.5, 0.75, 1, 1.25, 1.75, 2, 3, random.uniform(0.3, 3)])) for _ in axes]
        options["scales"] = scales
    else:
        sizes = [int(m) for m in random.integers(1, 15, len(axes))]
        options["sizes"] = sizes
    ratios = [Fraction(m, n) for m, n in zip(sizes, lengths, strict=True)] if sizes[0] else [None]
    policy = options["keep_aspect_ratio_policy"]
    common = (
        None if sizes[0] is None or policy == "stretch" else {"not_larger": min, "not_smaller": max}[policy](ratios)
    )
    spots = []
    for a, n, scale, size, roi in zip(axes, lengths, scales, sizes, rois, strict=True):
        exact, m = geometry(n, scale, size, policy, common, 1)
        spots.append((a, exact, m, roi))
    return shape, options, spots


def evaluator_agrees(shape, options, spots):
    """Return whether the evaluator is right about this draw: see the notes of `resize`, and `test_departures`."""
    rule, rounding = options["coordinate_transformation_mode"], options["nearest_mode"]
    for a, scale, m, roi in spots:
        n = shape[a]
        if n == m and scale == 1 and roi == (0, 1):
            continue
        if rule == "pytorch_half_pixel" and m == 1:
            return False
        if rule in ("align_corners", CROP) and m != scale * n:
            return False
        if n != m and options["keep_aspect_ratio_policy"] != "stretch" and (scale * n).denominator == 2:
            return False  # the rounding of a half with a rounded scale
        exact = specified(rule, n, m, scale, roi)
        got, _ = _compute_x_ori(rule, np.arange(m), float(scale), n, float(scale) * n, m, list(roi))
        step = 2 if options["mode"] == "nearest" and rounding.startswith("round") else 1
        for at, rounded in zip(exact, got, strict=True):
            if (step * at).denominator == 1 and Fraction(float(rounded)) != at:
                return False
    return True


def evaluated(x, options):
    named = {
        "antialias": 0, "exclude_outside": 0, "roi": None, "scales": None, "sizes": None, **options,
    }  # fmt: skip
    axes = named["axes"]
    if named["scales"] is not None:
        named["scales"] = list(map(float, named["scales"]))
    return Resize._run(None, x, named.pop("roi"), **{**named, "axes": axes})[0]


def compare(random, draws, dtype, modes, **kinds):
    """Compare so many draws, but for those where the evaluator is wrong; return how many were compared."""
    compared = 0
    for _ in range(draws):
        shape, options, spots = draw(random, modes, **kinds)
        if min(m for _, _, m, _ in spots) < 1 or not evaluator_agrees(shape, options, spots):
            continue
        x = noise(shape, dtype, seed=int(random.integers(1 << 30)))
        largest = max(abs(options["extrapolation_value"]), float(np.abs(x.astype(np.float64)).max()))
        got, expected = onnx.resize(x, **options), evaluated(x.astype(np.float64), options)
        assert got.dtype == x.dtype
        try:
            assert_within(got, expected, 0 if modes == ("nearest",) else largest * 1.5 ** len(spots))
        except AssertionError as error:
            raise AssertionError(f"{shape} {options}: {error}") from None
        compared += 1
    return compared


def test_resize_filters():
    """Of one axis, since every width of the filters is compiled anew; axes of all lengths, filters of all widths."""
    assert compare(np.random.default_rng(0), 1500, "float64", ("linear", "cubic"), ranks=(1,)) > 1000


def test_resize_filters_along_several_axes():
    assert compare(np.random.default_rng(1), 200, "float64", ("linear",), ranks=(2, 3), shortest=4) > 100


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_resize_filters_of_other_dtypes(dtype):
    assert compare(np.random.default_rng(5), 200, dtype, ("linear",), ranks=(1,), shortest=4) > 100


def test_resize_nearest():
    assert compare(np.random.default_rng(2), 1500, "float64", ("nearest",)) > 800


@pytest.mark.parametrize("dtype", DTYPES)
def test_resize_nearest_against_the_specification(dtype):
    random = np.random.default_rng(DTYPES.index(dtype))
    for _ in range(60):
        shape, options, spots = draw(random, ("nearest",))
        options["extrapolation_value"] = 0 if dtype.startswith("complex") else 1
        if min(m for _, _, m, _ in spots) < 1:
            continue
        x = noise(shape, dtype, seed=int(random.integers(1 << 30)))
        rule, expected = options["coordinate_transformation_mode"], x
        for a, scale, m, roi in spots:
            n = shape[a]
            where = specified(rule, n, m, scale, roi)
            index = [min(max(ROUNDINGS[options["nearest_mode"]](c), 0), n - 1) for c in where]
            beyond = np.array([rule == CROP and not 0 <= c <= n - 1 for c in where])
            beyond = beyond.reshape([-1 if axis == a else 1 for axis in range(x.ndim)])
            expected = np.where(beyond, x.dtype.type(options["extrapolation_value"]), expected.take(index, axis=a))
        assert_same_bits(onnx.resize(x, **options), expected.astype(x.dtype))


def taken(x, *arguments, **options):
    """Return the only row of a Resize along the last axis."""
    return evaluated(np.asarray(x), {
        "mode": "linear", "axes": [0], "cubic_coeff_a": -0.75, "nearest_mode": "round_prefer_floor",
        "extrapolation_value": 0.0, "keep_aspect_ratio_policy": "stretch",
        "coordinate_transformation_mode": "half_pixel", **options,
    })  # fmt: skip


RAMP = np.arange(1.0, 6)
DEPARTURES = {
    "the only sample": (
        RAMP, {"sizes": [1], "mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel"}, [1.0],
    ),
    "corners of a fractional length": (
        RAMP, {"scales": [0.5], "coordinate_transformation_mode": "align_corners"}, [1.0, 5.0],
    ),
    "a crop of a fractional length": (
        RAMP, {"roi": [0, 1], "scales": [0.5], "coordinate_transformation_mode": CROP}, [1.0, 5.0],
    ),
    "the size of a crop": (
        RAMP, {"roi": [0, 0.5], "scales": [2], "coordinate_transformation_mode": CROP}, [1, 1.5, 2, 2.5, 3],
    ),
    "nothing but samples outside": (
        RAMP, {"scales": [4], "mode": "nearest", "coordinate_transformation_mode": "asymmetric",
               "exclude_outside": 1}, np.repeat(RAMP, [3, 4, 4, 4, 5]),
    ),
    "a tie": (np.arange(7.0), {"sizes": [17], "mode": "nearest", "nearest_mode": "round_prefer_ceil"}, None),
    "infinity": (np.array([np.inf, np.inf]), {"sizes": [1]}, [np.inf]),
}  # fmt: skip


@pytest.mark.parametrize("name", DEPARTURES)
def test_departures_of_the_evaluator(name):
    x, options, expected = DEPARTURES[name]
    if expected is None:
        rounding = ROUNDINGS[options["nearest_mode"]]
        expected = [x[min(rounding(c), len(x) - 1)] for c in specified("half_pixel", 7, 17, Fraction(17, 7))]
    np.testing.assert_array_equal(onnx.resize(x, **{"mode": "linear", **options}), expected)
    other = taken(x, **options)
    assert other.shape != np.shape(expected) or (other != expected).any()


@pytest.mark.parametrize("rule", RULES)
def test_resize_of_the_package_is_the_same(backend, rule):
    """Its coordinate rules and roundings carry ONNX's names."""
    x = noise((5, 6))
    named = {"coordinate_transformation_mode": rule}
    for sizes in [(7, 9), (3, 4), (10, 5), (1, 12)]:
        for mode in ("linear", "cubic"):
            got = backend.resize(x, sizes, method=mode, coordinates=rule, cubic_coeff=-0.75)
            assert_same_bits(got, onnx.resize(x, sizes=sizes, mode=mode, **named))
        for rounding in ROUNDINGS:
            got = backend.resize(x, sizes, method="nearest", coordinates=rule, nearest_rounding=rounding)
            assert_same_bits(got, onnx.resize(x, sizes=sizes, nearest_mode=rounding, **named))


def test_resize_policy_rounds_halves_up():
    x = np.zeros((5, 6))
    assert onnx.resize(x, sizes=[9, 3], keep_aspect_ratio_policy="not_larger").shape == (3, 3)
    assert onnx.resize(x, sizes=[1, 9], keep_aspect_ratio_policy="not_smaller").shape == (8, 9)


def test_resize_takes_an_empty_tensor_for_none():
    x, none = np.arange(4.0), np.empty(0, np.float32)
    np.testing.assert_array_equal(onnx.resize(x, none, none, np.array([2])), onnx.resize(x, sizes=[2]))


def test_resize_takes_an_empty_batch():
    assert onnx.resize(np.zeros((0, 2, 3)), scales=[1, 1, 2]).shape == (0, 2, 6)
    assert onnx.resize(np.zeros((0, 2, 3)), sizes=[0, 2, 5]).shape == (0, 2, 5)
    assert onnx.resize(np.zeros((0, 2, 3)), sizes=[0, 8, 6], keep_aspect_ratio_policy="not_larger").shape == (0, 4, 6)
    assert onnx.resize(np.zeros((0, 2)), [0], sizes=[0], axes=[0], keep_aspect_ratio_policy="not_larger").shape == (
        0,
        2,
    )


def test_resize_leaves_an_axis_of_scale_one_alone():
    """A cubic filter would multiply its neighbours by zero, and infinity with it."""
    x = np.array([[1.0, 2.0, 3.0], [np.inf, np.inf, np.inf]])
    got = onnx.resize(x, scales=[1, 2], mode="cubic")
    assert np.isfinite(got[0]).all()


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [("uint8", 300.0, 255), ("int8", -1e9, -128), ("uint8", 2.5, 2), ("float16", 1e9, np.inf), ("bool", 7, True)],
)
def test_extrapolated_value_is_rounded_like_a_result(dtype, value, expected):
    for mode in ("nearest", "linear", "cubic"):
        got = onnx.resize(
            np.zeros((2, 3), dtype), [0, -1, 1, 1], sizes=[2, 5], mode=mode, extrapolation_value=value,
            coordinate_transformation_mode=CROP,
        )  # fmt: skip
        np.testing.assert_array_equal(got, np.array([[expected] * 2 + [0] * 3] * 2, dtype))


def test_the_border_of_the_extrapolation_is_not_missed_by_rounding():
    """A crop that ends at the last sample ends there, in either direction; the evaluator's often ends beyond."""
    missed = 0
    for tenth in range(10):
        for n in range(2, 8):
            x = np.arange(float(n))
            for m in range(2, 12):
                options = {"sizes": [m], "coordinate_transformation_mode": CROP, "extrapolation_value": -1.0}
                assert onnx.resize(x, [tenth / 10, 1], **options)[-1] == n - 1
                assert onnx.resize(x, [1, tenth / 10], **options)[0] == n - 1
                assert onnx.resize(x, [tenth / 10, 0], **options)[-1] == 0
                missed += taken(x, roi=[tenth / 10, 1], **options)[-1] == -1
    assert missed


def test_extrapolation_is_exact_and_nothing_behind_it_counts():
    x = np.full((3, 3), np.nan)
    got = onnx.resize(
        x, [5, 0, 6, 1], sizes=[4, 4], mode="cubic", extrapolation_value=0.1, coordinate_transformation_mode=CROP
    )
    np.testing.assert_array_equal(got, np.full((4, 4), 0.1))


# ---- MaxPool ------------------------------------------------------------------------------------------------
class ReferencePool(MaxPool):
    """The evaluator's loop over windows; what it does instead when all strides are 1 is wrong about indices."""

    output = ("Y", "Indices")

    def __init__(self):
        pass


def pool_evaluated(x, kernel_shape, **options):
    defaults = {
        "auto_pad": "NOTSET", "ceil_mode": 0, "dilations": None, "pads": None, "storage_order": 0, "strides": None,
    }  # fmt: skip
    return ReferencePool()._max_pool(x, kernel_shape=kernel_shape, **{**defaults, **options})


def draw_pool(random):
    rank = int(random.integers(1, 4))
    size = [int(n) for n in random.integers(1, 7, rank)]

    def each(low, high, number=rank):
        return [int(v) for v in random.integers(low, high, number)]

    options = {
        "kernel_shape": each(1, 4),
        "storage_order": int(random.integers(2)),
        "ceil_mode": int(random.integers(2)),
    }
    options["strides"] = each(1, 4)
    # Along a row, every length and stride is compiled anew.
    options["kernel_shape"][-1], options["strides"][-1] = int(random.choice([1, 2, 4])), int(random.choice([1, 3]))
    if random.integers(3) == 0:
        options["dilations"] = each(1, 4)
    if random.integers(3):
        options["pads"] = each(0, 3, 2 * rank)
    else:
        options["auto_pad"] = str(random.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    return (int(random.integers(1, 3)), int(random.integers(1, 3)), *size), options


def window_geometry(shape, options):
    """Return the explicit padding, and whether every window holds a sample, by the specification."""
    size = shape[2:]
    rank, kernel, strides = len(size), options["kernel_shape"], options["strides"]
    dilations = options.get("dilations", [1] * rank)
    auto_pad = options.get("auto_pad", "NOTSET")
    pads = np.reshape(options.get("pads", [0] * 2 * rank), (2, rank)).T.tolist()
    full = True
    for axis, (n, k, s, d) in enumerate(zip(size, kernel, strides, dilations, strict=True)):
        extent = d * (k - 1) + 1
        if auto_pad.startswith("SAME"):
            count = ceil(n / s)
            total = max(0, (count - 1) * s + extent - n)
            less = total // 2
            pads[axis] = [less, total - less] if auto_pad == "SAME_UPPER" else [total - less, less]
        else:
            room = Fraction(n + sum(pads[axis]) - extent, s)
            up = options["ceil_mode"] and auto_pad == "NOTSET"
            count = (ceil(room) if up else floor(room)) + 1
            if up and (count - 1) * s >= n + pads[axis][0]:
                count -= 1
        windows = [[o * s - pads[axis][0] + t * d for t in range(k)] for o in range(count)]
        full &= bool(windows) and all(any(0 <= place < n for place in window) for window in windows)
    return [begin for begin, _ in pads] + [end for _, end in pads], full


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_max_pool(dtype):
    random, refused = np.random.default_rng(3), 0
    for _ in range(600):
        shape, options = draw_pool(random)
        x = random.integers(0, 5, shape).astype(dtype)  # with equal samples
        pads, full = window_geometry(shape, options)
        if not full:
            with pytest.raises(ValueError, match="kernel_shape"):
                onnx.max_pool(x, **options)
            refused += 1
            continue
        explicit = {**options, "auto_pad": "NOTSET", "pads": pads}
        if options.get("auto_pad", "NOTSET") != "NOTSET":
            explicit["ceil_mode"] = 0
        for got, expected in zip(onnx.max_pool(x, **options), pool_evaluated(x, **explicit), strict=True):
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected, err_msg=f"{shape} {options}")
    assert 0 < refused < 300


def test_max_pool_departures_of_the_evaluator():
    x = np.arange(10, dtype=np.float32).reshape(1, 1, 10)
    options = {"kernel_shape": [4], "strides": [4], "auto_pad": "SAME_LOWER"}
    assert onnx.max_pool(x, **options)[0].shape == (1, 1, 3)
    assert pool_evaluated(x, **options)[0].shape == (1, 1, 2)
    np.testing.assert_array_equal(onnx.max_pool(np.float32([[[1, np.nan, 2, 3]]]), kernel_shape=[4])[1], [[[1]]])
    # With a stride beyond the window, SAME would pad by less than nothing: the first window starts at the first sample.
    thin = {"kernel_shape": [1], "strides": [3], "auto_pad": "SAME_UPPER"}
    np.testing.assert_array_equal(onnx.max_pool(x[..., :5], **thin)[1], [[[0, 3]]])
    np.testing.assert_array_equal(pool_evaluated(x[..., :5], **thin)[1], [[[1, 4]]])
    # If every stride is 1, the evaluator counts within a plane, in the shape of the output.
    image = np.arange(24, dtype=np.float32).reshape(2, 1, 3, 4)
    other = MaxPool.eval(image, kernel_shape=[2, 2], n_outputs=2)[1]
    got = onnx.max_pool(image, kernel_shape=[2, 2])[1]
    np.testing.assert_array_equal(got, image.astype(np.int64)[:, :, 1:, 1:])
    assert (other != got).any()


# ---- MaxUnpool ----------------------------------------------------------------------------------------------
def test_max_unpool():
    random = np.random.default_rng(4)
    for _ in range(400):
        rank = int(random.integers(1, 4))
        shape = tuple(int(n) for n in random.integers(1, 4, rank + 2))
        kernel, strides = ([int(v) for v in random.integers(1, 4, rank)] for _ in range(2))
        pads = [int(v) for v in random.integers(0, 2, 2 * rank)]
        result = [
            (n - 1) * s + k - pads[a] - pads[rank + a]
            for a, (n, k, s) in enumerate(zip(shape[2:], kernel, strides, strict=True))
        ]
        x = random.normal(size=shape)
        if min(result) < 1:
            with pytest.raises(ValueError, match="result"):
                onnx.max_unpool(x, np.zeros(shape, np.int64), kernel_shape=kernel, pads=pads, strides=strides)
            continue
        indices = random.integers(0, np.prod(shape[:2]) * np.prod(result), shape)
        options = {"kernel_shape": kernel, "pads": pads, "strides": strides}
        expected = MaxUnpool._run(None, x, indices, **options)[0]
        np.testing.assert_array_equal(onnx.max_unpool(x, indices, **options), expected)


def test_max_unpool_reads_indices_in_the_output():
    random = np.random.default_rng(5)
    for _ in range(50):
        x = random.permutation(2 * 3 * 7 * 5).reshape(2, 3, 7, 5) + 1.0
        options = {"kernel_shape": [2, 3], "strides": [2, 2]}
        pooled, indices = onnx.max_pool(x, **options, pads=[0, 1, 0, 0])
        got = onnx.max_unpool(pooled, indices, np.array(x.shape), **options, pads=[0, 1, 0, 0])
        np.testing.assert_array_equal(got, np.where(np.isin(x, pooled), x, 0))
    x, index = np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 3)
    options = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
    ours = onnx.max_unpool(x, index, [1, 1, 2, 3], **options)
    other = MaxUnpool._run(None, x, index, output_shape=[1, 1, 2, 3], **options)[0]
    np.testing.assert_array_equal(ours, [[[[0, 0, 0], [1, 0, 0]]]])
    np.testing.assert_array_equal(other, [[[[0, 0, 0], [0, 1, 0]]]])


# ---- ConvTranspose ------------------------------------------------------------------------------------------
def conv_evaluated(x, w, b, group, **options):
    """Return the evaluator's result group by group: for several, its own is wrong."""
    parts = [
        ConvTranspose._run(None, xs, ws, None if b is None else bs, group=1, **options)[0]
        for xs, ws, bs in zip(
            np.split(x, group, axis=1), np.split(w, group), np.split(np.ones(group) if b is None else b, group),
            strict=True,
        )
    ]  # fmt: skip
    return np.concatenate(parts, axis=1)


def draw_conv(random):
    rank = int(random.integers(1, 4))
    size = [int(n) for n in random.integers(1, 4, rank)]

    def each(low, high, number=rank):
        return [int(v) for v in random.integers(low, high, number)]

    kernel, strides, dilations = each(1, 4), each(1, 4), each(1, 3)
    extra = [int(random.integers(0, s)) for s in strides]  # the evaluator knows no more, whatever the dilation
    options = {"strides": strides, "dilations": dilations, "output_padding": extra}
    whole = [
        (n - 1) * s + e + d * (k - 1) + 1 for n, k, s, d, e in zip(size, kernel, strides, dilations, extra, strict=True)
    ]
    choice = int(random.integers(4))
    if choice == 0:
        options["pads"] = each(0, 2, 2 * rank)
    elif choice == 1:
        options["auto_pad"] = str(random.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
    elif choice == 2:
        options["auto_pad"] = str(random.choice(["SAME_UPPER", "SAME_LOWER", "NOTSET"]))
        options["output_shape"] = [max(1, m + int(random.integers(-3, 4))) for m in whole]
    return size, kernel, options


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_conv_transpose(dtype):
    random = np.random.default_rng(6)
    for _ in range(150):
        size, kernel, options = draw_conv(random)
        group, few_in, few_out = (int(v) for v in random.integers(1, 3, 3))
        x = random.normal(size=(2, group * few_in, *size)).astype(dtype)
        w = random.normal(size=(group * few_in, few_out, *kernel)).astype(dtype)
        b = random.normal(size=group * few_out).astype(dtype) if random.integers(2) else None
        reference = {"auto_pad": "NOTSET", **options}
        if "output_shape" in options and reference["auto_pad"] == "NOTSET":
            reference["auto_pad"] = "SAME_LOWER"  # the specification's rule; the evaluator would not pad at all
        wide = [None if a is None else a.astype(np.float64) for a in (x, w, b)]
        with_pads = reference.get("pads", [0, 0] * len(size))
        small = [
            (n - 1) * s + e + d * (k - 1) + 1 - sum(with_pads[a :: len(size)])
            for a, (n, k, s, d, e) in enumerate(
                zip(size, kernel, options["strides"], options["dilations"], options["output_padding"], strict=True)
            )
        ]
        if min(small) < 1:
            with pytest.raises(ValueError, match="result"):
                onnx.conv_transpose(x, w, b, group=group, **options)
            continue
        expected = conv_evaluated(*wide, group, **reference)
        magnitude = conv_evaluated(*(None if a is None else np.abs(a) for a in wide), group, **reference).max()
        assert_within(onnx.conv_transpose(x, w, b, group=group, kernel_shape=kernel, **options), expected, magnitude)


def test_conv_transpose_by_matrix_product():
    """Many channels take the other route."""
    random = np.random.default_rng(7)
    x, w = random.normal(size=(1, 40, 3, 4)), random.normal(size=(40, 3, 3, 2))
    for options in ({"pads": [0, 1, 1, 0]}, {"output_shape": [9, 12], "auto_pad": "SAME_UPPER"}):
        expected = conv_evaluated(x, w, None, 1, **{"auto_pad": "NOTSET", "strides": [2, 2], **options})
        got = onnx.conv_transpose(x, w, strides=[2, 2], **options)
        assert_within(got, expected, float(np.abs(x).max() * np.abs(w).max() * 80))


def test_conv_transpose_output_shape_departs_from_the_evaluator():
    x, w = np.array([[[1.0, 2.0, 3.0]]]), np.ones((1, 1, 1))
    # Too little to fill the length by 2: one zero at each end.
    np.testing.assert_array_equal(onnx.conv_transpose(x, w, output_shape=[5]), [[[0, 1, 2, 3, 0]]])
    # One too many: it is cut off at the beginning.
    np.testing.assert_array_equal(onnx.conv_transpose(x, w, output_shape=[2]), [[[2, 3]]])
    with pytest.raises(ValueError, match="sliding blocks"):
        ConvTranspose._run(None, x, w, group=1, output_shape=[2], auto_pad="NOTSET")
    # Padding at the end may reach the dilation.
    more = {"dilations": [3], "output_padding": [2], "pads": [1, 0]}
    np.testing.assert_array_equal(onnx.conv_transpose(x, np.ones((1, 1, 2)), **more), [[[2, 3, 1, 2, 3, 0, 0]]])
    # Given a shape, pads are ignored.
    for auto_pad in ("NOTSET", "SAME_UPPER"):
        got = onnx.conv_transpose(x, w, output_shape=[3], pads=[1, 1], auto_pad=auto_pad)
        np.testing.assert_array_equal(got, x)


# ---- DepthToSpace, SpaceToDepth -----------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("dtype", ["uint8", "bfloat16", "float32", "int64", "complex128"])
def test_depth_to_space_and_back(dtype, mode):
    random = np.random.default_rng(8)
    for _ in range(60):
        block = int(random.integers(1, 5)) if dtype == "uint8" else 2  # every size is compiled anew
        n, c, h, w = (int(v) for v in random.integers(1, 5, 4))
        x = noise((n, c * block**2, h, w), dtype, seed=int(random.integers(1 << 30)))
        spread = onnx.depth_to_space(x, blocksize=block, mode=mode)
        assert_same_bits(spread, DepthToSpace._run(None, x, block, mode)[0])
        stacked = onnx.space_to_depth(spread, blocksize=block, mode=mode)
        assert_same_bits(stacked, SpaceToDepth._run(None, spread, block, mode)[0])
        assert_same_bits(stacked, x)


# ---- Col2Im -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_col2im(dtype):
    random = np.random.default_rng(9)
    for _ in range(100):
        rank = int(random.integers(1, 4))
        image, block, strides, dilations = (
            [int(v) for v in random.integers(low, high, rank)] for low, high in ((1, 6), (1, 4), (1, 3), (1, 3))
        )
        pads = [int(v) for v in random.integers(0, 3, 2 * rank)]
        count = [
            (n + pads[a] + pads[rank + a] - d * (k - 1) - 1) // s + 1
            for a, (n, k, s, d) in enumerate(zip(image, block, strides, dilations, strict=True))
        ]
        options = {"strides": strides, "dilations": dilations, "pads": pads}
        if min(count) < 1:
            with pytest.raises(ValueError, match="block_shape"):
                onnx.col2im(np.zeros((1, 1, 1)), image, block, **options)
            continue
        x = random.integers(0, 6, (2, 2 * int(np.prod(block)), int(np.prod(count)))).astype(dtype)
        if dtype != "uint8":
            x = x + random.normal(size=x.shape).astype(dtype)
        expected = Col2Im._run(None, x.astype(np.float64), np.array(image), np.array(block), **options)[0]
        got = onnx.col2im(x, np.array(image), np.array(block), **options)
        assert got.dtype == x.dtype
        assert_within(got, expected, float(np.abs(x.astype(np.float64)).max() * np.prod(block)))


def test_col2im_saturates_where_the_evaluator_wraps():
    x = np.full((1, 2, 2), 200, np.uint8)
    np.testing.assert_array_equal(onnx.col2im(x, [3], [2]), [[[200, 255, 200]]])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(Col2Im._run(None, x, np.array([3]), np.array([2]))[0], [[[200, 144, 200]]])


# ---- every backend and kind of array ------------------------------------------------------------------------
IMAGE = noise((2, 4, 5, 6), "float32")
CASES = {
    "resize": (onnx.resize, (IMAGE,), {"sizes": [2, 4, 8, 9], "mode": "cubic", "exclude_outside": 1}),
    "crop": (
        onnx.resize, (IMAGE,),
        {"roi": [1.2, -0.5, 0, 0.7], "axes": [2, 3], "sizes": [7, 9], "mode": "linear", "extrapolation_value": 0.3,
         "coordinate_transformation_mode": CROP},
    ),
    "max_pool": (onnx.max_pool, (IMAGE,), {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [0, 1, 2, 0]}),
    "max_pool by columns": (
        onnx.max_pool, (noise((2, 3, 3, 4, 5), "float32"),),
        {"kernel_shape": [2, 2, 2], "pads": [1, 0, 0, 0, 1, 1], "storage_order": 1},
    ),
    "max_unpool": (
        onnx.max_unpool, (IMAGE, np.random.default_rng(0).integers(0, 2 * 4 * 10 * 12, IMAGE.shape)),
        {"kernel_shape": [2, 2], "strides": [2, 2]},
    ),
    "conv_transpose": (
        onnx.conv_transpose, (IMAGE, noise((4, 2, 3, 2), "float32"), noise((4,), "float32")),
        {"group": 2, "strides": [2, 3], "output_shape": [12, 16]},
    ),
    "depth_to_space": (onnx.depth_to_space, (IMAGE,), {"blocksize": 2}),
    "space_to_depth": (onnx.space_to_depth, (noise((2, 3, 4, 6), "uint8"),), {"blocksize": 2}),
    "col2im": (onnx.col2im, (noise((2, 12, 15), "float32"),), {
        "image_shape": [5, 6], "block_shape": [2, 3], "strides": [2, 1], "pads": [1, 0, 0, 1],
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_cuda_gives_the_bits_of_the_cpu(device, name):
    operator, arrays, options = CASES[name]
    got, expected = device(operator, *arrays, **options), operator(*arrays, **options)
    pairs = zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]
    for ours, theirs in pairs:
        assert_same_bits(ours, theirs)


def test_tensors_come_back_as_tensors():
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0).reshape(1, 1, 6)
    pooled, indices = onnx.max_pool(x, kernel_shape=[2], strides=[2])
    assert indices.tolist() == [[[1, 3, 5]]]
    back = onnx.max_unpool(pooled, indices, torch.tensor([1, 1, 6]), kernel_shape=[2], strides=[2])
    assert torch.equal(back, torch.tensor([[[0.0, 1, 0, 3, 0, 5]]]))


# ---- bad input ----------------------------------------------------------------------------------------------
ONES, INDICES, KERNELS = np.ones((1, 4, 4)), np.zeros((1, 4, 4), np.int64), np.ones((4, 2, 3))
COLUMNS = np.ones((1, 2, 3))
BAD = [
    (onnx.resize, (ONES,), {}, ValueError, "scales and sizes"),
    (onnx.resize, (ONES,), {"scales": [1, 1, 2], "sizes": [1, 4, 8]}, ValueError, "scales and sizes"),
    (onnx.resize, (ONES,), {"scales": [2]}, ValueError, "scales must have 3 entries"),
    (onnx.resize, (ONES,), {"scales": 2}, ValueError, "scales must have 3 entries"),
    (onnx.resize, (ONES,), {"scales": [1, 1, 0]}, ValueError, "scales must be positive"),
    (onnx.resize, (ONES,), {"scales": [1, 1, np.inf]}, ValueError, "scales"),
    (onnx.resize, (ONES,), {"scales": [1, 1, 0.1]}, ValueError, "scales"),
    (onnx.resize, (ONES,), {"sizes": [1, 4, 0]}, ValueError, "sizes"),
    (onnx.resize, (ONES,), {"sizes": [1, 4, 2**31]}, ValueError, "sizes"),
    (onnx.resize, (ONES,), {"sizes": [1, 4, 2.5]}, TypeError, "sizes"),
    (onnx.resize, (np.ones((0, 4)),), {"sizes": [1, 4]}, ValueError, "sizes"),
    (onnx.resize, (ONES,), {"scales": [2], "axes": [3]}, ValueError, "axes"),
    (onnx.resize, (ONES,), {"scales": [2, 2], "axes": [1, 1]}, ValueError, "axes"),
    (onnx.resize, (ONES,), {"scales": [1, 1, 2], "mode": "area"}, ValueError, "mode"),
    (onnx.resize, (ONES,), {"scales": [1, 1, 2], "nearest_mode": "up"}, ValueError, "nearest_mode"),
    (onnx.resize, (ONES,), {"scales": [1, 1, 2], "antialias": 1}, ValueError, "antialias"),
    (onnx.resize, (ONES,), {"scales": [1, 1, 2], "antialias": 2}, ValueError, "antialias"),
    (onnx.resize, (ONES,), {"scales": [1, 1, 2], "exclude_outside": None}, ValueError, "exclude_outside"),
    (onnx.resize, (ONES,), {"sizes": [1, 4, 2], "keep_aspect_ratio_policy": "x"}, ValueError, "keep_aspect_ratio"),
    (onnx.resize, (ONES,), {"sizes": [1, 4, 2], "coordinate_transformation_mode": "x"}, ValueError, "coordinate_tr"),
    (onnx.resize, (ONES,), {"sizes": [1, 4, 2], "coordinate_transformation_mode": CROP}, ValueError, "roi"),
    (onnx.resize, (ONES, [0, 1]), {"sizes": [1, 4, 2], "coordinate_transformation_mode": CROP}, ValueError, "roi"),
    (
        onnx.resize, (ONES, [1, 0]),
        {"scales": [2], "axes": [2], "coordinate_transformation_mode": CROP}, ValueError, "scales",
    ),
    (
        onnx.resize, (ONES.astype(np.int8), [0, 1]),
        {"sizes": [2], "axes": [2], "coordinate_transformation_mode": CROP, "extrapolation_value": np.nan},
        ValueError, "extrapolation_value",
    ),
    (
        onnx.resize, (ONES.astype(complex), [0, 1]),
        {"sizes": [2], "axes": [2], "coordinate_transformation_mode": CROP, "extrapolation_value": 1},
        ValueError, "extrapolation_value",
    ),
    (onnx.resize, ([1, 2],), {"sizes": [2]}, TypeError, "X must be"),
    (onnx.max_pool, (np.ones((2, 3)),), {"kernel_shape": [1]}, ValueError, "X of MaxPool"),
    (onnx.max_pool, (ONES.astype(complex),), {"kernel_shape": [1]}, TypeError, "order"),
    (onnx.max_pool, (np.ones((1, 4, 0)),), {"kernel_shape": [1]}, ValueError, "spatial"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2, 2]}, ValueError, "kernel_shape"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [5]}, ValueError, "kernel_shape"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2**40]}, ValueError, "kernel_shape"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "pads": [1]}, ValueError, "pads must have 2"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "pads": [-1, 0]}, ValueError, "pads"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "pads": [2, 0]}, ValueError, "every window"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "pads": [0, 2]}, ValueError, "every window"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "dilations": [5], "pads": [1, 5]}, ValueError, "every window"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "pads": [0, 0], "auto_pad": "VALID"}, ValueError, "pads"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "auto_pad": "SAME"}, ValueError, "auto_pad"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "strides": [0]}, ValueError, "strides"),
    (onnx.max_pool, (ONES,), {"kernel_shape": [2], "storage_order": 2}, ValueError, "storage_order"),
    (onnx.max_unpool, (ONES, INDICES[:, :2]), {"kernel_shape": [2]}, ValueError, "I must have the shape"),
    (onnx.max_unpool, (ONES, ONES), {"kernel_shape": [2]}, TypeError, "I must have dtype"),
    (onnx.max_unpool, (ONES, INDICES + 99), {"kernel_shape": [2]}, ValueError, "I must lie between"),
    (onnx.max_unpool, (ONES, INDICES, [1, 3, 8]), {"kernel_shape": [2]}, ValueError, "output_shape"),
    (onnx.max_unpool, (ONES, INDICES, [8]), {"kernel_shape": [2]}, ValueError, "output_shape"),
    (onnx.conv_transpose, (ONES.astype(int), KERNELS.astype(int)), {}, TypeError, "X must have"),
    (onnx.conv_transpose, (ONES, KERNELS.astype(np.float32)), {}, TypeError, "W must have"),
    (onnx.conv_transpose, (ONES, KERNELS[:2]), {}, ValueError, "W must have"),
    (onnx.conv_transpose, (ONES, KERNELS), {"group": 3}, ValueError, "group"),
    (onnx.conv_transpose, (ONES, KERNELS, np.ones(3)), {}, ValueError, "B must have"),
    (onnx.conv_transpose, (ONES, KERNELS), {"kernel_shape": [2]}, ValueError, "kernel_shape"),
    (onnx.conv_transpose, (ONES, KERNELS), {"output_padding": [1]}, ValueError, "output_padding"),
    (onnx.conv_transpose, (ONES, KERNELS), {"output_shape": [0]}, ValueError, "output_shape"),
    (onnx.conv_transpose, (ONES, KERNELS), {"pads": [3, 3]}, ValueError, "result"),
    (onnx.conv_transpose, (ONES, KERNELS), {"pads": [0, 0], "auto_pad": "SAME_UPPER"}, ValueError, "pads"),
    (onnx.depth_to_space, (ONES,), {"blocksize": 2}, ValueError, "input"),
    (onnx.depth_to_space, (IMAGE,), {"blocksize": 3}, ValueError, "channels"),
    (onnx.depth_to_space, (IMAGE,), {"blocksize": 0}, ValueError, "blocksize"),
    (onnx.depth_to_space, (IMAGE,), {"blocksize": 2.0}, TypeError, "blocksize"),
    (onnx.depth_to_space, (IMAGE,), {"blocksize": 2, "mode": "RDC"}, ValueError, "mode"),
    (onnx.space_to_depth, (IMAGE,), {"blocksize": 2}, ValueError, "height and width"),
    (onnx.col2im, (COLUMNS[0], [4], [2]), {}, ValueError, "input"),
    (onnx.col2im, (COLUMNS, 4, [2]), {}, ValueError, "image_shape"),
    (onnx.col2im, (COLUMNS, [4], [3]), {}, ValueError, "multiple of 3"),
    (onnx.col2im, (COLUMNS, [5], [2]), {}, ValueError, "4 blocks"),
    (onnx.col2im, (COLUMNS, [1], [2]), {}, ValueError, "block_shape"),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "arrays", "options", "error", "words"), BAD)
def test_bad_input(operator, arrays, options, error, words):
    with pytest.raises(error, match=words):
        operator(*arrays, **options)
