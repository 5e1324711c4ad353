"""`compat.opencv` against the installed OpenCV.

Every length of a window is a kernel of its own: the tests vary sizes and data rather than those.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from gpu_upsample.compat import opencv
from tests.cases import noise
from tests.tolerances import assert_same_bits

cv2 = pytest.importorskip("cv2")

NEAREST, LINEAR, CUBIC, AREA, LANCZOS4, LINEAR_EXACT, NEAREST_EXACT = range(7)
NAMES = ("NEAREST", "LINEAR", "CUBIC", "AREA", "LANCZOS4", "LINEAR_EXACT", "NEAREST_EXACT")
USUAL = ("uint8", "uint16", "int16", "float32", "float64")
SIDES = (1, 2, 3, 4, 5, 7, 8, 12, 20, 33, 64)
FACTORS = (0.2, 0.25, 1 / 3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def test_names():
    for number, name in enumerate(NAMES):
        assert getattr(opencv, f"INTER_{name}") == getattr(cv2, f"INTER_{name}") == number


def draw_size(random, height, width):
    """Return dsize and the factors: a size or two factors, of which some are simple fractions."""
    kind = random.integers(4)
    if kind == 0:
        return None, {"fx": float(random.uniform(0.2, 3)), "fy": float(random.uniform(0.2, 3))}
    if kind == 1:
        return None, {"fx": float(random.choice(FACTORS)), "fy": float(random.choice(FACTORS))}
    if kind == 2:
        return (max(1, width // int(random.integers(1, 5))), max(1, height // int(random.integers(1, 5)))), {}
    return (int(random.integers(1, 80)), int(random.integers(1, 80))), {}


def draws(random, count, dtypes, channels=range(7), sides=(SIDES, SIDES)):
    """Yield random images with their new sizes, but for those that OpenCV refuses; channels 0 is H×W."""
    for _ in range(count):
        height, width = (int(random.choice(some)) for some in sides)
        last = int(random.choice(channels))
        x = noise((height, width, last)[: 2 + (last > 0)], str(random.choice(dtypes)), int(random.integers(1 << 30)))
        dsize, factors = draw_size(random, height, width)
        if dsize is None and 0 in (round(width * factors["fx"]), round(height * factors["fy"])):
            continue
        yield x, dsize, factors


def both(x, dsize, factors, interpolation):
    got = opencv.resize(x, dsize, interpolation=interpolation, **factors)
    expected = cv2.resize(x, dsize, interpolation=interpolation, **factors)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    return got, expected


def is_cut(x, dsize, factors):
    """Return whether the image's end cuts through a block of pixels: halved or so by factors that do not fit."""
    return dsize is None and any(
        f == 1 / round(1 / f) and n * f != round(n * f)
        for n, f in zip(x.shape, (factors["fy"], factors["fx"]), strict=False)
        if f <= 1
    )


def factor_of(x, dsize):
    """Return how many times the width and the height shrink."""
    return x.shape[1] / dsize[0], x.shape[0] / dsize[1]


# ---- bit for bit ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("interpolation", [NEAREST, NEAREST_EXACT])
def test_selections(interpolation):
    random = np.random.default_rng(interpolation)
    dtypes = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64")
    for given in draws(random, 1500, dtypes):
        assert_same_bits(*both(*given, interpolation))


def test_nearest_of_long_axes():
    for interpolation, n, m in product((NEAREST, NEAREST_EXACT), (999, 5000, 70000), (1920, 65537, 100000)):
        x = np.arange(n, dtype=np.int32)
        for image, dsize in ((x[:, None], (1, m)), (x[None], (m, 1))):
            assert_same_bits(*both(image, dsize, {}, interpolation))


LONG = (12, 33, 64)


@pytest.mark.parametrize(
    ("interpolation", "dtype", "sides"),
    [
        (LINEAR, "uint8", ((33, 40, 64), SIDES)),
        (LANCZOS4, "uint8", (LONG, LONG)),
        (LINEAR_EXACT, "uint8", ((1, 2, *LONG), (1, 2, *LONG))),
        (LINEAR_EXACT, "int8", (LONG, LONG)),
        (LINEAR_EXACT, "uint16", (LONG, LONG)),
        (LINEAR_EXACT, "int16", (LONG, LONG)),
    ],
    ids=["linear", "lanczos4", "linear_exact", "linear_exact-int8", "linear_exact-uint16", "linear_exact-int16"],
)
def test_exact_sums(interpolation, dtype, sides):
    """LANCZOS4 has windows of all lengths on short axes, LINEAR where an image grows a lot: hence the sides."""
    random = np.random.default_rng(interpolation)
    channels = range(7) if dtype == "uint8" else (2, 5)
    for x, dsize, factors in draws(random, 500 if dtype == "uint8" else 150, [dtype], channels, sides):
        shrunk = factor_of(x, dsize) if dsize else (1 / factors["fx"], 1 / factors["fy"])
        if dtype == "int8" and shrunk == (2, 2):
            continue  # OpenCV refuses it
        if dtype != "uint8" and (1 in shrunk or x.shape[1] / shrunk[0] < 16):
            continue  # other kernels
        got, expected = both(x, dsize, factors, interpolation)
        if is_cut(x, dsize, factors):
            assert np.abs(got.astype(int) - expected).max() <= 1
        else:
            assert_same_bits(got, expected)


def test_linear_that_grows_a_lot():
    """More than eight outputs between two rows: the products are put elsewhere."""
    for shape, dsize in (((2, 3), (7, 19)), ((3, 5, 3), (9, 40)), ((1, 4), (4, 200)), ((5, 2, 2), (200, 77))):
        assert_same_bits(*both(noise(shape, "uint8"), dsize, {}, LINEAR))


@pytest.mark.parametrize(
    ("dtype", "pairs"),
    [
        ("uint8", [(60, 20), (40, 16), (64, 5)]),
        ("uint16", [(40, 16), (64, 32)]),
        ("int16", [(40, 16), (64, 32)]),
    ],
)
def test_area_of_integers(dtype, pairs):
    """By whole numbers and by others."""
    for (height, width), channels in product(product(pairs, pairs), (2, 3)):
        x = noise((height[0], width[0], channels), dtype, height[1] + 10 * width[1])
        assert_same_bits(*both(x, (width[1], height[1]), {}, AREA))


def test_area_leaves_out_a_thousandth():
    assert_same_bits(*both(noise((1, 4001), "uint16"), (2000, 1), {}, AREA))


def test_area_that_is_cut():
    """What is cut off two of four pixels leaves ties, which OpenCV rounds to even there and half up elsewhere."""
    for shape, (fx, fy) in product(((7, 11), (7, 11, 3), (11, 7, 5)), ((0.5, 0.5), (1, 0.5))):
        got, expected = both(noise(shape, "uint8"), None, {"fx": fx, "fy": fy}, AREA)
        assert np.abs(got.astype(int) - expected).max() <= (1 if fx == fy and shape[2:] != (5,) else 0)


# ---- nearly ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("interpolation", "dtype"),
    [
        (CUBIC, "uint8"),
        (LINEAR, "uint16"),
        (CUBIC, "uint16"),
        (LANCZOS4, "uint16"),
        (LINEAR, "int16"),
        (LINEAR_EXACT, "int32"),
    ],
    ids=lambda value: value if isinstance(value, str) else NAMES[value].lower(),
)
def test_integers(interpolation, dtype):
    """At most one off in the last place, and seldom: on noise, where roundings matter most."""
    random = np.random.default_rng(6)
    wrong = total = 0
    for x, dsize, _ in draws(random, 300, [dtype], (2, 3, 6), (LONG, LONG)):
        if dsize is None or dsize[0] < 16 or 1 in factor_of(x, dsize) or factor_of(x, dsize) == (2, 2):
            continue  # other kernels
        got, expected = both(x, dsize, {}, interpolation)
        assert np.abs(got.astype(int) - expected).max() <= 1
        wrong, total = wrong + np.sum(got != expected), total + got.size
    assert wrong <= total * (0.02 if dtype == "int32" else 0.003)


@pytest.mark.parametrize(
    ("interpolation", "dtype", "ulps"),
    [
        (LINEAR, "float32", 2), (CUBIC, "float32", 4), (AREA, "float32", 2), (LANCZOS4, "float64", 4),
        (LINEAR, "float64", 256),
    ],
    ids=["linear", "cubic", "area", "lanczos4-double", "linear-double"],
)  # fmt: skip
def test_floats(interpolation, dtype, ulps):
    """Within a few units in the last place of the largest sample; 64 is the longest axis, and rounds more coarsely."""
    random = np.random.default_rng(interpolation)
    for x, dsize, _ in draws(random, 200, [dtype], (2, 3), ((64,), (64,)) if interpolation == AREA else (LONG, LONG)):
        size = (16, 32) if interpolation == AREA else dsize
        if size is None or size[0] < 16 or 1 in factor_of(x, size):
            continue  # other kernels
        got, expected = both(x, size, {}, interpolation)
        assert np.abs(got - expected).max() <= ulps * np.finfo(dtype).eps * np.abs(x).max()


def test_floats_that_lie_between_pixels():
    """LINEAR_EXACT is LINEAR for floats; factors that do not fit, and a row of its own, take other ways in OpenCV."""
    for shape, (fx, fy) in product(((33, 64, 3), (1, 64, 3), (64, 1, 3)), ((1.3, 1.7), (0.7, 2.4))):
        x = noise(shape, "float32")
        got, expected = both(x, None, {"fx": fx, "fy": fy}, LINEAR_EXACT)
        assert np.abs(got - expected).max() <= 2 * np.finfo(np.float32).eps * np.abs(x).max()


@pytest.mark.parametrize(
    ("shape", "dsize", "interpolation"), [((60, 60), (20, 20), AREA), ((33, 1, 2), (20, 40), LINEAR)]
)
def test_weights_of_doubles(shape, dsize, interpolation):
    """OpenCV's weights are float32 even of float64: a reciprocal, and what is left of 1 beside the only column."""
    got, expected = both(noise(shape, "float64"), dsize, {}, interpolation)
    assert np.abs(got - expected).max() <= 1e-14


def test_cubic_of_short_axes():
    """Too short for IPP, but not where the factors make an affine map of it."""
    x = noise((3, 64, 3), "uint8")
    for dsize, factors in (((90, 40), {}), (None, {"fx": 1.3, "fy": 12.9})):
        got, expected = both(x, dsize, factors, CUBIC)
        assert np.mean(got != expected) <= 1e-3


# ---- photographs ----------------------------------------------------------------------------------------------
FORMS = {
    "uint8": lambda photo: photo,
    "uint16": lambda photo: photo * np.uint16(257),
}
UNEQUAL = {
    ("uint8", LINEAR): 0,
    ("uint8", CUBIC): 2e-5,
    ("uint8", AREA): 0,
    ("uint8", LANCZOS4): 0,
    ("uint8", LINEAR_EXACT): 0,
    ("uint16", LINEAR): 1.2e-3,
    ("uint16", CUBIC): 2.5e-3,
    ("uint16", LANCZOS4): 1e-4,
}
"""(dtype, interpolation) -> the part of a photograph's values that may differ, by one in the last place."""


def unequal(dtype, interpolation):
    """Return the parts of two photographs, of 3 and of 1 channels, that differ from OpenCV's at several sizes."""
    data = pytest.importorskip("skimage.data")
    parts = []
    for photo, dsize in product((data.astronaut(), data.camera()), ((1024, 1024), (870, 640), (333, 200), (256, 256))):
        got, expected = both(FORMS[dtype](photo), dsize, {}, interpolation)
        assert np.abs(got.astype(int) - expected).max() <= 1
        parts.append(float(np.mean(got != expected)))
    return parts


@pytest.mark.parametrize(("dtype", "interpolation"), UNEQUAL, ids=[f"{d}-{NAMES[n].lower()}" for d, n in UNEQUAL])
def test_photographs(dtype, interpolation):
    assert max(unequal(dtype, interpolation)) <= UNEQUAL[dtype, interpolation]


# ---- devices --------------------------------------------------------------------------------------------------
CALLS = [
    ((9, 7), "uint8", (12, 14), LINEAR),
    ((3, 7), "uint8", (12, 40), LINEAR),
    ((9, 7), "uint8", (5, 4), AREA),
    ((8, 6), "uint16", (4, 3), AREA),
    ((9, 7), "uint8", (12, 14), CUBIC),
    ((9, 7), "uint8", (12, 14), LANCZOS4),
    ((9, 7, 2), "uint16", (12, 14), LINEAR),
    ((9, 7), "int16", (12, 14), LINEAR_EXACT),
    ((9, 7), "float32", (12, 14), CUBIC),
    ((9, 7), "float64", (12, 14), LANCZOS4),
    ((9, 7), "uint8", (12, 14), NEAREST_EXACT),
]


@pytest.mark.parametrize(
    ("shape", "dtype", "dsize", "interpolation"),
    CALLS,
    ids=["-".join((d, NAMES[n].lower(), "x".join(map(str, s)))) for s, d, _, n in CALLS],
)
def test_devices(device, shape, dtype, dsize, interpolation):
    x = noise(shape, dtype)
    assert_same_bits(
        device(opencv.resize, x, dsize=dsize, interpolation=interpolation),
        opencv.resize(x, dsize, interpolation=interpolation),
    )


# ---- the call -------------------------------------------------------------------------------------------------
def test_dst():
    x, dst = noise((6, 4, 3), "uint8"), np.zeros((3, 8, 3), np.uint8)
    assert opencv.resize(x, (8, 3), dst) is dst
    assert_same_bits(dst, cv2.resize(x, (8, 3)))
    assert_same_bits(opencv.resize(x, None, None, 2, 0.5, CUBIC), cv2.resize(x, None, None, 2, 0.5, CUBIC))


def test_a_dst_that_cannot_be_written():
    x = noise((6, 6), "uint8")
    before, fixed = x.copy(), np.zeros((3, 3), np.uint8)
    fixed.flags.writeable = False
    for dst, says in ((x[:3, :3], "dst must not overlap src"), (fixed, "dst must be writable")):
        with pytest.raises(ValueError, match=says):
            opencv.resize(x, (3, 3), dst)
    assert_same_bits(x, before)


def test_same_size_is_a_copy():
    for shape, dtype in product(((6, 4), (6, 4, 1), (6, 4, 3)), ("uint8", "float16", "int32")):
        x = noise(shape, dtype)
        got = opencv.resize(x, (4, 6), interpolation=LANCZOS4)
        assert_same_bits(got, cv2.resize(x, (4, 6), interpolation=LANCZOS4))
        assert not np.shares_memory(got, x)


def test_sizes_that_are_not_positive_leave_it_to_the_factors():
    x = noise((6, 5), "uint8")
    for dsize in (None, (0, 0), (0, 7), [-1, 7]):
        assert_same_bits(opencv.resize(x, dsize, fx=0.5, fy=2), cv2.resize(x, dsize, fx=0.5, fy=2))
    assert_same_bits(opencv.resize(x, np.array([3, 4]), fx=9, fy=9), cv2.resize(x, (3, 4), fx=9, fy=9))


def test_beyond_opencv():
    """What OpenCV refuses without need."""
    x = noise((40, 40, 6), "uint8")
    got = opencv.resize(x, (16, 16), interpolation=AREA)
    halves = [cv2.resize(part, (16, 16), interpolation=AREA) for part in (x[:, :, :3], x[:, :, 3:])]
    assert_same_bits(got, np.concatenate(halves, axis=2))
    small = noise((64, 64), "int8")
    expected = cv2.resize(small.astype(np.int16), (32, 32), interpolation=LINEAR_EXACT)
    assert_same_bits(opencv.resize(small, (32, 32), interpolation=LINEAR_EXACT), expected.astype(np.int8))


X = np.zeros((4, 6, 3), np.uint8)
BAD = [
    (X, (3, 3, 3), {}, ValueError, "dsize must be two integers"),
    (X, 3, {}, ValueError, "dsize must be two integers"),
    (X, (3.0, 3), {}, TypeError, "dsize must be an integer"),
    (X, (True, 3), {}, TypeError, "dsize must be an integer"),
    (X, None, {}, ValueError, "either dsize or both fx and fy"),
    (X, None, {"fx": 2}, ValueError, "either dsize or both fx and fy"),
    (X, (0, 3), {"fx": 2, "fy": -1}, ValueError, "either dsize or both fx and fy"),
    (X, None, {"fx": 2, "fy": 0.1}, ValueError, "rows and columns"),
    (X, None, {"fx": 1e300, "fy": 1}, ValueError, "rows and columns"),
    (X, None, {"fx": float("nan"), "fy": 1}, ValueError, "fx must be finite"),
    (X, None, {"fx": "2", "fy": 1}, TypeError, "fx must be a number"),
    (X, (3, 3), {"interpolation": 7}, ValueError, "interpolation must be one of"),
    (X, (3, 3), {"interpolation": "linear"}, TypeError, "interpolation must be an integer"),
    (X[0, 0], (3, 3), {}, ValueError, "src must have 2 axes"),
    (X[None], (3, 3), {}, ValueError, "src must have 2 axes"),
    (X[:0], (3, 3), {}, ValueError, "every axis of src"),
    (X[:, :, :0], (3, 3), {}, ValueError, "every axis of src"),
    (X.astype(np.float16), (3, 3), {}, TypeError, "takes arrays of uint8"),
    (X.astype(bool), (3, 3), {"interpolation": AREA}, TypeError, "takes arrays of uint8"),
    (X.astype(np.int64), (3, 3), {"interpolation": LINEAR_EXACT}, TypeError, "takes arrays of uint8"),
    ([[1]], (3, 3), {}, TypeError, "src must be"),
    (X, (3, 3), {"dst": np.zeros((3, 4, 3), np.uint8)}, ValueError, "dst must have shape"),
    (X, (3, 3), {"dst": np.zeros((3, 3, 3), np.int8)}, TypeError, "dst must have dtype"),
    (X, (3, 3), {"dst": [1]}, TypeError, "dst must be"),
]


@pytest.mark.parametrize(("src", "dsize", "options", "error", "words"), BAD)
def test_bad_input(src, dsize, options, error, words):
    with pytest.raises(error, match=words):
        opencv.resize(src, dsize, **options)
