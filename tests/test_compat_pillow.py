"""`compat.pillow` against Pillow itself, bit for bit."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gpu_upsample.compat import pillow
from gpu_upsample.compat.pillow_plan import KERNELS, axis_taps
from tests.cases import noise
from tests.test_imports import loaded_by
from tests.tolerances import assert_same_bits

Image = pytest.importorskip("PIL.Image")
data = pytest.importorskip("skimage.data")

# Pillow's mode -> dtype and channels.
MODES = {
    "1": ("bool", 0), "P": ("uint8", 0), "L": ("uint8", 0), "LA": ("uint8", 2), "RGB": ("uint8", 3),
    "RGBA": ("uint8", 4), "CMYK": ("uint8", 4), "YCbCr": ("uint8", 3), "I": ("int32", 0), "F": ("float32", 0),
    "I;16": ("uint16", 0), "LAB": ("uint8", 3),
}  # fmt: skip
REDUCIBLE = [mode for mode in MODES if mode not in ("1", "P", "I;16")]


@cache
def photographs():
    """Return photographs of which every mode can be cut: (H, W, 3) of uint8."""
    return tuple(getattr(data, name)() for name in ("astronaut", "chelsea", "coffee"))


def picture(mode, width, height, random):
    """Return an image: noise, or a part of a photograph."""
    dtype, channels = MODES[mode]
    shape = (height, width, *([channels] if channels else []))
    array = noise(shape, dtype, int(random.integers(2**31)))
    if dtype == "float32":
        array *= 1000
    if dtype == "int32":
        array >>= 3  # sums of four must not overflow, in Pillow
    if dtype == "uint8" and random.random() < 0.5:
        photograph = photographs()[random.integers(3)]
        row, column = (int(random.integers(n - m)) for n, m in zip(photograph.shape, (height, width), strict=False))
        part = photograph[row : row + height, column : column + width]
        array = part[..., :channels].copy() if channels in (2, 3) else np.dstack([part, part[..., 0]])
        array = array if channels else part[..., 0].copy()
        if mode in ("LA", "RGBA"):
            array[..., -1] = np.where(random.random((height, width)) < 0.3, 255 * (array[..., -1] > 99), array[..., -1])
    if mode == "1":
        return Image.fromarray(array)
    image = Image.frombytes(mode, (width, height), array.tobytes())
    if mode == "P":
        image.putpalette(random.integers(0, 256, 300).tolist())
    return image


def assert_equal(actual, expected, *call):
    """Assert that two images are the same."""
    assert (actual.mode, actual.size) == (expected.mode, expected.size), call
    assert actual.tobytes() == expected.tobytes(), call
    assert actual.getpalette() == expected.getpalette()


def part_of(image, random, whole=False):
    """Return a random box inside an image."""
    edges = [np.sort(random.random(2)) * n for n in image.size]
    if whole:
        starts = [int(random.integers(0, n)) for n in image.size]
        edges = [(a, int(random.integers(a + 1, n + 1))) for a, n in zip(starts, image.size, strict=True)]
    (left, right), (upper, lower) = edges
    return tuple(edge if whole else float(edge) for edge in (left, upper, right, lower))


# ---- resize -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", MODES)
def test_resize(mode):
    random = np.random.default_rng(3)
    for draw in range(130):
        image = picture(mode, *map(int, random.integers(1, 40, 2)), random)
        size = [int(n) for n in random.integers(1, 50, 2)]
        for axis in range(2):
            if random.random() < 0.15:
                size[axis] = image.size[axis]
        box = (None, None, part_of(image, random), part_of(image, random, whole=True))[draw % 4]
        if draw % 16 == 3:  # no more than cut out
            size = [box[2] - box[0], box[3] - box[1]]
        gap = random.choice([None, None, None, 1.0, 1.3, 2.0])
        call = (tuple(size), int(random.integers(8)), box, gap)
        if mode == "I;16" and gap is not None:  # which Pillow cannot reduce
            call = (*call[:3], None)
        assert_equal(pillow.resize(image, *call), image.resize(*call), image, call)


@pytest.mark.parametrize("resample", pillow.Resampling)
def test_photographs(resample):
    image = Image.fromarray(photographs()[resample % 3])
    for size in ((97, 61), (224, 224), image.size[::-1]):
        assert_equal(pillow.resize(image, size, resample), image.resize(size, resample))
    assert_equal(pillow.resize(image, (150, 40), resample, None, 1.5), image.resize((150, 40), resample, None, 1.5))


def test_loops_for_one_length(monkeypatch):
    monkeypatch.undo()
    image = Image.fromarray(photographs()[0])
    for size in ((1024, 640), (512, 700)):
        assert_equal(pillow.resize(image, size), image.resize(size))


@pytest.mark.parametrize("resample", KERNELS)
def test_weights_to_the_last_place(resample):
    """Sums whose terms cancel show bits of the weights that no photograph shows."""
    random = np.random.default_rng(resample)
    checked = 0
    for _ in range(60):
        n, m = int(random.integers(8, 24)), int(random.integers(8, 60))
        taps = axis_taps(n, (np.float32(0), np.float32(n)), m, KERNELS[resample])
        weight = taps.matrix()[random.integers(m)]
        used = random.permutation(np.flatnonzero(np.abs(weight) > 1e-4))
        x = np.zeros((1, n), np.float32)
        for i in used:
            x[0, i] = 1000 if i == used[0] else -(weight @ x[0]) / weight[i]
        x[0, used[-1]] *= 2
        expected = np.asarray(Image.fromarray(x).resize((m, 1), resample))
        assert_same_bits(pillow.resize(x, (m, 1), resample), expected)
        checked += len(used) > 2
    assert checked > 20 or resample in (pillow.BOX, pillow.BILINEAR, pillow.HAMMING)


def test_which_pass_comes_first():
    random = np.random.default_rng(0)
    for width, height, fewer in [(40, 40, 5), (20, 60, 11), (60, 30, 4), (30, 30, -8), (25, 25, 0)]:
        image = picture("L", width, height, random)
        for rows in {max(1, height - 2 * fewer + d) for d in (-2, -1, 0, 1)} | {height - 1, height + 1}:
            for box in (None, (1.5, 2.5, width - 3, height - 5.25)):
                call = ((width - fewer, rows), pillow.BICUBIC, box)
                assert_equal(pillow.resize(image, *call), image.resize(*call), call)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_nearest(dtype):
    """Coordinates: a running sum, but of uint16 not."""
    random = np.random.default_rng(0)
    for _ in range(800):
        n, m = int(random.integers(1, 200)), int(random.integers(1, 400))
        x = np.arange(1, n + 1, dtype=dtype).reshape(1, n)
        left, right = np.sort(random.random(2)) * n if random.random() < 0.3 else (0, n)
        call = ((m, 1), pillow.NEAREST, (left, 0, right, 1))
        assert_same_bits(pillow.resize(x, *call), np.asarray(Image.fromarray(x).resize(*call)))


@pytest.mark.parametrize("mode", ["LA", "RGBA", "RGB"])
def test_the_size_as_it_is(mode):
    """A copy, that loses no colour to alpha, unless a filter runs."""
    image = picture(mode, 9, 7, np.random.default_rng(0))
    assert_equal(pillow.resize(image, (9, 7)), image)
    for call in [((9, 7), 3, (0, 0, 9, 6.5)), ((4, 3), 3, (1, 2, 5, 5)), ((4, 3), 0, (1, 2, 5, 5))]:
        assert_equal(pillow.resize(image, *call), image.resize(*call), call)


def test_a_box_without_extent():
    x = noise((7, 9), "uint8")
    for resample in pillow.Resampling:
        for box in ((3, 2, 3, 5), (9, 7, 9, 7), (0, 0, 0, 7), (2.5, 1, 4, 1)):
            expected = np.asarray(Image.fromarray(x).resize((4, 3), resample, box))
            assert_same_bits(pillow.resize(x, (4, 3), resample, box), expected)


# ---- reduce and thumbnail -----------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", REDUCIBLE)
def test_reduce(mode):
    random = np.random.default_rng(4)
    for draw in range(60):
        image = picture(mode, *map(int, random.integers(1, 40, 2)), random)
        factor = tuple(map(int, random.integers(1, 8, 2))) if draw % 3 else int(random.integers(1, 12))
        box = part_of(image, random, whole=True) if draw % 2 else None
        assert_equal(pillow.reduce(image, factor, box), image.reduce(factor, box), image, factor, box)


def test_every_reciprocal():
    """Sums of bytes near every quotient, for many sizes of a block."""
    for area in [*range(2, 64), 97, 255, 256, 257, 1000, 4099]:
        rows = np.minimum(np.arange(0, 255 * area, max(1, 255 * area // 700)), 255 * area)
        whole, rest = np.divmod(rows, area)
        x = (whole[:, None] + (np.arange(area) < rest[:, None])).astype(np.uint8)
        assert_same_bits(pillow.reduce(x, (area, 1)), np.asarray(Image.fromarray(x).reduce((area, 1))))


@pytest.mark.parametrize("mode", REDUCIBLE)
def test_thumbnail(mode):
    random = np.random.default_rng(5)
    for _ in range(20):
        image = picture(mode, *map(int, random.integers(1, 90, 2)), random)
        size, gap = tuple(random.uniform(1, 50, 2)), random.choice([None, 2.0])
        expected = image.copy()
        expected.thumbnail(size, reducing_gap=gap)
        assert_equal(pillow.thumbnail(image, size, reducing_gap=gap), expected, image, size)


# ---- arrays, and other devices ------------------------------------------------------------------------------
CALLS = {
    "resize": lambda x, **options: pillow.resize(x, (11, 5), pillow.LANCZOS, (0.5, 1, 8.25, 9), **options),
    "rows first": lambda x, **options: pillow.resize(x, (12, 3), pillow.BICUBIC, **options),
    "gap": lambda x, **options: pillow.resize(x, (2, 3), pillow.BILINEAR, None, 1.0, **options),
    "nearest": lambda x, **options: pillow.resize(x, (13, 7), pillow.NEAREST, **options),
    "reduce": lambda x, **options: pillow.reduce(x, (2, 3), **options),
    "thumbnail": lambda x, **options: pillow.thumbnail(x, (4, 4), **options),
}


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_a_device_reduces_to_the_same_bits(device, dtype):
    x = noise((8, 6, 2), dtype) if dtype == "uint8" else noise((8, 6), dtype)
    assert_same_bits(device(pillow.reduce, x, factor=2), pillow.reduce(x, 2))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_device_resizes_to_the_same_bits(device, dtype):
    """The kernels of int32 and float32 are those of `test_foreign_sums`."""
    x = noise((5, 6, 2), dtype) if dtype == "uint8" else noise((5, 6), dtype)
    call = {"size": (12, 10), "resample": pillow.BILINEAR, "box": (0.5, 1, 5.25, 4)}
    assert_same_bits(device(pillow.resize, x, **call), pillow.resize(x, **call))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_channels_are_apart(name, dtype):
    x = noise((10, 9, 5), dtype)
    together = CALLS[name](x)
    for channel in range(5):
        assert_same_bits(together[..., channel], CALLS[name](x[..., channel]))


@pytest.mark.parametrize(("channels", "alpha", "mode"), [(2, None, "LA"), (4, None, "RGBA"), (4, False, "CMYK")])
def test_alpha_of_an_array(channels, alpha, mode):
    x = noise((12, 17, channels), "uint8")
    image = Image.frombytes(mode, (17, 12), x.tobytes())
    for name in ("resize", "gap", "reduce"):
        assert_same_bits(CALLS[name](x, alpha=alpha), np.asarray(CALLS[name](image)))
    assert not np.array_equal(CALLS["resize"](x), CALLS["resize"](x, alpha=False))


def test_every_pair_of_value_and_alpha():
    x = np.stack(np.meshgrid(np.arange(256), np.arange(256)), axis=-1).astype(np.uint8)
    image = Image.frombytes("LA", (256, 256), x.tobytes())
    box = (0, 0, 256, 255)
    assert_same_bits(pillow.resize(x, (256, 255), 3, box), np.asarray(image.resize((256, 255), 3, box)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "bool"])
def test_kinds_and_layouts_of_arrays(dtype):
    x = noise((20, 36), dtype)
    expected = pillow.resize(x, (9, 14))
    assert expected.dtype == dtype
    swapped = x.astype(x.dtype.newbyteorder())
    for same in (np.asfortranarray(x), np.flip(np.flip(x).copy()), np.repeat(x, 2, axis=1)[:, ::2], swapped):
        assert_same_bits(pillow.resize(same, (9, 14)).astype(dtype), expected)
    torch = pytest.importorskip("torch")
    result = pillow.resize(torch.from_numpy(x), (9, 14))
    assert isinstance(result, torch.Tensor)
    assert_same_bits(result.numpy(), expected)


def test_an_image_keeps_what_it_says():
    image = picture("P", 8, 6, np.random.default_rng(0))
    image.info["dpi"] = (72, 72)
    for result in (pillow.resize(image, (4, 4)), pillow.resize(image, image.size), pillow.thumbnail(image, (3, 3))):
        assert result is not image
        assert result.info == image.info
        assert result.getpalette() == image.getpalette()


def test_the_filters_are_pillows():
    assert {kind.name: kind.value for kind in pillow.Resampling} == {kind.name: kind.value for kind in Image.Resampling}


def test_arrays_need_no_pillow():
    code = """
import numpy as np
from gpu_upsample.compat import pillow
print(pillow.resize(np.zeros((4, 4), np.uint8), (2, 2)).tolist())
"""
    assert loaded_by(code) == ["numba", "llvmlite"]


# ---- errors -------------------------------------------------------------------------------------------------
L = np.zeros((4, 6), np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: pillow.resize(L, (0, 3)), ValueError, "size"),
        (lambda: pillow.resize(L, 3), TypeError, "size"),
        (lambda: pillow.resize(L, (3, 2.5)), TypeError, "size"),
        (lambda: pillow.resize(L, (3, 3), 9), ValueError, "resample"),
        (lambda: pillow.resize(L, (3, 3), None, (0, 0, 7, 4)), ValueError, "box"),
        (lambda: pillow.resize(L, (3, 3), None, (-1, 0, 6, 4)), ValueError, "box"),
        (lambda: pillow.resize(L, (3, 3), None, (4, 0, 3, 4)), ValueError, "box"),
        (lambda: pillow.resize(L, (3, 3), None, (0, 0, float("nan"), 4)), ValueError, "box"),
        (lambda: pillow.resize(L, (3, 3), None, (0, 0, 6)), TypeError, "box"),
        (lambda: pillow.resize(L, (3, 3), None, None, 0.9), ValueError, "reducing_gap"),
        (lambda: pillow.resize(L, (1, 69), 2, (0, 2, 6, 2), 1.0), ValueError, "box must not be empty"),
        (lambda: pillow.resize(L, (5, 2), 1, (3, 0, 3, 4), 1.0), ValueError, "box must not be empty"),
        (lambda: pillow.resize(L, (3, 3), alpha=True), ValueError, "alpha"),
        (lambda: pillow.resize(L, (3, 3), alpha=np.array([1, 0])), TypeError, "alpha must be True or False"),
        (lambda: pillow.resize(Image.fromarray(L), (3, 3), alpha=True), ValueError, "alpha"),
        (lambda: pillow.resize(Image.new("PA", (3, 3)), (2, 2)), ValueError, "mode"),
        (lambda: pillow.resize(L.astype(float), (3, 3)), TypeError, "float64"),
        (lambda: pillow.resize(L[0], (3, 3)), ValueError, "axes"),
        (lambda: pillow.resize(L[:0], (3, 3)), ValueError, "height"),
        (lambda: pillow.resize([[1]], (3, 3)), TypeError, "image"),
        (lambda: pillow.reduce(L, 0), ValueError, "factor"),
        (lambda: pillow.reduce(L, (2, 1.5)), TypeError, "factor"),
        (lambda: pillow.reduce(L, 2, (0, 0, 0, 4)), ValueError, "box"),
        (lambda: pillow.reduce(L, 2, (0, 0, 2.5, 4)), TypeError, "box"),
        (lambda: pillow.reduce(L.astype(np.uint16), 2), TypeError, "uint16"),
        (lambda: pillow.reduce(Image.fromarray(L).convert("P"), 2), ValueError, "'P'"),
        (lambda: pillow.reduce(L, 5000), ValueError, "factor must give blocks of at most 16777216 pixels, got 5000"),
        (
            lambda: pillow.resize(Image.new("L", (0, 4)), (2, 2)),
            ValueError,
            r"image must not be empty, got size \(0, 4\)",
        ),
        (lambda: pillow.resize(L, (2, 2), np.array([1, 2])), TypeError, "resample must be an integer"),
        (lambda: pillow.thumbnail(L, (0, 3)), ValueError, "size"),
        (lambda: pillow.thumbnail(L[0], (3, 3)), ValueError, "axes"),
    ],
)
def test_errors(call, error, says):
    with pytest.raises(error, match=says):
        call()
