"""The command line: what it reads, what it writes, and what it leaves alone when something goes wrong."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample import call, cpu

pytest.importorskip("click")
pytest.importorskip("rich")
Image = pytest.importorskip("PIL.Image")

from click.testing import CliRunner, Result  # noqa: E402

from gpu_upsample.cli import images, sheet, warmup  # noqa: E402
from gpu_upsample.cli.commands import main  # noqa: E402
from gpu_upsample.cli.sizes import Pixels  # noqa: E402
from gpu_upsample.plan.resample import METHODS  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def resized(*arguments: object) -> Result:
    """Resize on the CPU, which must succeed."""
    result = run("resize", *arguments, "--backend", "cpu")
    assert result.exit_code == 0, result.output
    return result


def picture(mode: str, size: tuple[int, int] = (7, 5)) -> Image.Image:
    """Noise in an image of any mode."""
    random = np.random.default_rng(0)
    shape = size[::-1]
    if mode == "F":
        return Image.fromarray(random.normal(size=shape).astype(np.float32))
    if mode == "I":
        return Image.fromarray(random.integers(-(2**30), 2**30, shape, dtype=np.int32))
    if mode.startswith("I;16"):
        return Image.fromarray(random.integers(0, 2**16, shape).astype(">u2" if mode == "I;16B" else "<u2"))
    bands = len(Image.new(mode, (1, 1)).getbands())
    if mode in ("1", "P"):
        return Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8)).convert(mode)
    pixels = random.integers(0, 256, (*shape, bands), dtype=np.uint8)
    return Image.frombytes(mode, size, pixels.tobytes())


def save(image: Image.Image, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


# ---- sizes -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "size"),
    [
        (["--scale", "0.57"], (57, 28)),  # the float next to 0.57 is below it
        (["--scale", "0.29"], (29, 14)),
        (["--scale", "1.15"], (115, 57)),
        (["--size", "30x"], (30, 15)),
        (["--size", "x30"], (60, 30)),
        (["--size", "33X"], (33, 17)),  # from 16.5
        (["--size", "1x"], (1, 1)),
        (["--size", "30x40"], (30, 40)),
        (["--size", "30x40", "--fit"], (30, 15)),
        (["--size", "300x40", "--fit"], (80, 40)),
        (["--size", "300x150", "--fit"], (300, 150)),
        (["--size", "1x9", "--fit"], (1, 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("like", [[], ["--like", "pillow"], ["--like", "torch"]], ids=str)
def test_the_size_of_the_result(tmp_path: Path, options: list[str], size: tuple[int, int], like: list[str]) -> None:
    path = save(picture("L", (100, 50)), tmp_path / "in.png")
    resized(path, "-o", tmp_path / "out.png", *options, *like)
    with Image.open(tmp_path / "out.png") as result:
        assert result.size == size


def test_a_side_that_follows_with_opencv(tmp_path: Path) -> None:
    path = save(picture("L", (100, 50)), tmp_path / "in.png")
    resized(path, "-o", tmp_path / "out.png", "--size", "x30", "--like", "opencv")
    with Image.open(tmp_path / "out.png") as result:
        assert result.size == (60, 30)


def test_an_image_is_as_large_as_fits() -> None:
    random = np.random.default_rng(0)
    for width, height, across, down in random.integers(1, 400, (500, 4)).tolist():
        new = Pixels(across, down, fit=True).of((width, height))
        if across * height <= down * width:
            assert new[0] == across
            assert 1 <= new[1] <= down
            assert new[1] == 1 or abs(new[1] * width - across * height) <= width / 2
        else:
            assert new[::-1] == Pixels(down, across, fit=True).of((height, width))


# ---- other libraries' pixels ---------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "I;16"])
def test_like_pillow(tmp_path: Path, mode: str) -> None:
    source, target = save(picture(mode, (17, 15)), tmp_path / "a.tif"), tmp_path / "b.tif"
    resized(source, "-o", target, "--size", "9x8", "--like", "pillow")
    expected = Image.open(source).resize((9, 8), Image.Resampling.BICUBIC)
    result = Image.open(target)
    assert result.mode == expected.mode
    assert np.array_equal(np.asarray(result), np.asarray(expected))


def test_like_pillow_in_the_other_order_of_bytes(tmp_path: Path) -> None:
    source, target = save(picture("I;16B", (17, 15)), tmp_path / "a.tif"), tmp_path / "b.tif"
    resized(source, "-o", target, "--size", "9x8", "--like", "pillow")
    native = Image.fromarray(np.asarray(Image.open(source)).astype(np.uint16))
    assert np.array_equal(np.asarray(Image.open(target)), np.asarray(native.resize((9, 8), Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("method", ["area", "nearest", "nearest-exact", "linear-exact"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_like_opencv(tmp_path: Path, mode: str, method: str) -> None:
    cv2 = pytest.importorskip("cv2")
    source, target = save(picture(mode, (18, 16)), tmp_path / "a.png"), tmp_path / "b.png"
    resized(source, "-o", target, "--size", "9x8", "--like", "opencv", "--method", method)
    name = f"INTER_{method.upper().replace('-', '_')}"
    expected = cv2.resize(np.asarray(Image.open(source)), (9, 8), interpolation=getattr(cv2, name))
    assert np.array_equal(np.asarray(Image.open(target)), expected)


@pytest.mark.parametrize("factor", [0.7, 1.5])
def test_like_opencv_by_a_factor(tmp_path: Path, factor: float) -> None:
    """Halves of a pixel are rounded to even, and OpenCV samples at the factor, not at the ratio of the sizes."""
    cv2 = pytest.importorskip("cv2")
    source, target = save(picture("RGB", (17, 15)), tmp_path / "a.png"), tmp_path / "b.png"
    resized(source, "-o", target, "--scale", factor, "--like", "opencv", "--method", "linear")
    pixels = np.asarray(Image.open(source))
    expected = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(np.asarray(Image.open(target)), expected)


def test_a_factor_that_leaves_opencv_nothing(tmp_path: Path) -> None:
    source = save(picture("L"), tmp_path / "in.png")
    result = run("resize", source, "-o", tmp_path / "out.png", "--scale", 0.1, "--like", "opencv")
    assert result.exit_code == 1
    assert result.stderr == f"{source}: --scale 0.1 leaves no pixel of a 7 x 5 image\n"


@pytest.mark.parametrize(
    ("method", "switch", "theirs", "smooth"),
    [
        ("linear", [], "bilinear", True),
        ("linear", ["--no-antialias"], "bilinear", False),
        ("cubic", ["--antialias"], "bicubic", True),
        ("cubic", ["--no-antialias"], "bicubic", False),
        ("lanczos3", [], "lanczos", True),
        ("nearest", [], "nearest", False),
        ("nearest-exact", ["--no-antialias"], "nearest-exact", False),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_like_torch(tmp_path: Path, mode: str, method: str, switch: list[str], theirs: str, smooth: bool) -> None:
    torch = pytest.importorskip("torch")
    source, target = save(picture(mode, (17, 15)), tmp_path / "a.png"), tmp_path / "b.png"
    resized(source, "-o", target, "--size", "9x8", "--like", "torch", "--method", method, *switch)
    pixels = np.asarray(Image.open(source)).reshape(15, 17, -1)
    batch = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(batch, size=(8, 9), mode=theirs, antialias=smooth)
    actual = np.asarray(Image.open(target)).reshape(8, 9, -1)
    assert np.array_equal(actual, expected[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        (
            ["--like", "opencv", "--method", "lanczos3"],
            "--like opencv offers nearest, nearest-exact, linear, linear-exact, cubic, area, lanczos4, not lanczos3.",
        ),
        (
            ["--like", "torch", "--method", "area"],
            "--like torch offers nearest, nearest-exact, linear, cubic, lanczos3, not area.",
        ),
        (["--like", "opencv", "--antialias"], "opencv never widens filter cubic"),
        (["--like", "pillow", "--no-antialias"], "pillow always widens filter cubic"),
        (["--like", "pillow", "--method", "nearest", "--antialias"], "pillow never widens filter nearest"),
        (["--like", "torch", "--method", "lanczos3", "--no-antialias"], "torch always widens filter lanczos3"),
        (["--like", "torch", "--method", "nearest", "--antialias"], "torch never widens filter nearest"),
        (["--method", "linear-exact"], "--method linear-exact is one of other libraries; it needs --like."),
    ],
)
def test_what_a_library_does_not_have(tmp_path: Path, options: list[str], hint: str) -> None:
    source = save(picture("L"), tmp_path / "a.png")
    result = run("resize", source, "-o", tmp_path / "b.png", "--scale", 2, *options)
    assert result.exit_code == 2
    assert hint in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "b.png").exists()


# ---- modes -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mode", "source", "target", "mode_out"),
    [
        ("1", "in.png", "out.png", "L"),
        ("L", "in.png", "out.png", "L"),
        ("LA", "in.png", "out.png", "LA"),
        ("P", "in.gif", "out.png", "RGB"),
        ("RGB", "in.png", "out.jpg", "RGB"),
        ("RGBA", "in.png", "out.webp", "RGBA"),
        ("CMYK", "in.jpg", "out.tif", "CMYK"),
        ("CMYK", "in.tif", "out.png", "RGB"),
        ("YCbCr", "in.tif", "out.png", "RGB"),
        ("I;16", "in.png", "out.png", "I;16"),
        ("I;16B", "in.tif", "out.tif", "I;16"),
        ("I", "in.tif", "out.tif", "I"),
        ("F", "in.tif", "out.tif", "F"),
    ],
)
def test_every_mode(tmp_path: Path, mode: str, source: str, target: str, mode_out: str) -> None:
    path = save(picture(mode), tmp_path / source)
    resized(path, "-o", tmp_path / target, "--scale", 2)
    with Image.open(tmp_path / target) as result:
        assert (result.mode, result.size) == (mode_out, (14, 10))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "I;16", "I;16B", "I", "F"])
@pytest.mark.parametrize("method", ["nearest", "linear", "lanczos3"])
def test_the_pixels_are_those_of_resize(tmp_path: Path, mode: str, method: str) -> None:
    path = save(picture(mode), tmp_path / "in.tif")
    resized(path, "-o", tmp_path / "out.tif", "--size", "13x4", "--method", method)
    array = np.asarray(picture(mode))
    array = array.astype(array.dtype.newbyteorder("="))
    expected = gu.resize(array, size=(4, 13), axes=(0, 1), method=method, antialias=method != "nearest")
    with Image.open(tmp_path / "out.tif") as result:
        np.testing.assert_array_equal(np.asarray(result), expected)


def test_antialias_can_be_switched_off(tmp_path: Path) -> None:
    path = save(picture("L", (40, 30)), tmp_path / "in.png")
    for flag in ("--antialias", "--no-antialias"):
        resized(path, "-o", tmp_path / f"{flag}.png", "--scale", 0.25, flag)
        expected = gu.resize(
            np.asarray(picture("L", (40, 30))),
            size=(7, 10),
            axes=(0, 1),
            method="lanczos3",
            antialias=flag == "--antialias",
        )
        with Image.open(tmp_path / f"{flag}.png") as result:
            np.testing.assert_array_equal(np.asarray(result), expected)


@pytest.mark.parametrize("options", [[], ["--like", "pillow"]], ids=str)
@pytest.mark.parametrize("suffix", [".pgm", ".png", ".tif"])
def test_greyscale_of_16_bits_that_pillow_reads_as_32(tmp_path: Path, suffix: str, options: list[str]) -> None:
    path = save(picture("I;16"), tmp_path / "in.pgm")
    resized(path, "-o", tmp_path / f"out{suffix}", "--scale", 2, *options)
    with Image.open(path) as source, Image.open(tmp_path / f"out{suffix}") as result:
        assert result.mode == ("I" if suffix == ".pgm" else "I;16")
        if options:
            expected = np.asarray(source.resize((14, 10), Image.Resampling.BICUBIC))
        else:
            expected = gu.resize(np.asarray(source), size=(10, 14), axes=(0, 1), method="lanczos3", antialias=True)
        assert expected.max() > 0xFFFF  # the filter overshoots
        np.testing.assert_array_equal(np.asarray(result), expected.clip(0, 0xFFFF))


# ---- formats that hold less --------------------------------------------------------------------------------
def written(tmp_path: Path, image: Image.Image, suffix: str) -> Image.Image:
    images.write(image, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as result:
        result.load()
    return result


def needs(suffix: str) -> None:
    if suffix not in images.formats("write"):
        pytest.skip(f"Pillow was built without {suffix}")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(90, 60), (7, 5), (256, 3)])
def test_an_icon_has_the_size_of_the_result(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    result = written(tmp_path, picture(mode, size), ".ico")
    np.testing.assert_array_equal(np.asarray(result), np.asarray(picture(mode, size)))


# What an image has, its mode, the formats that do not hold it, and what to do.
ALPHA = ".png, .tif and .webp do; --background replaces it"
LOST = (
    ("16-bit integer pixels", "I;16", (".webp", ".avif", ".gif", ".jpg", ".eps"), ".png and .tif do"),
    ("32-bit integer pixels", "I", (".webp", ".avif", ".gif", ".pgm", ".jpg"), ".tif does"),
    ("32-bit float pixels", "F", (".webp", ".avif", ".gif", ".png", ".jpg", ".pcx"), ".tif does"),
    ("transparency", "RGBA", (".ppm", ".pfm", ".bmp", ".jpg", ".mpo", ".pcx", ".eps"), ALPHA),
    ("transparency", "LA", (".gif", ".jpg"), ALPHA),
    ("pixels of mode RGB", "RGB", (".xbm", ".blp"), ".png and .tif do"),
    ("pixels of mode L", "L", (".qoi",), ".png and .tif do"),
)


@pytest.mark.parametrize(
    ("mode", "size", "suffix", "message"),
    [
        ("RGB", (320, 200), ".ico", "is 320 x 200 pixels, which .ico stores as 128 x 80"),
        ("RGB", (90, 60), ".icns", "is 90 x 60 pixels, which .icns stores as 1024 x 1024"),
        ("RGB", (65501, 1), ".jpg", "is 65501 x 1 pixels; .jpg holds at most 65500 a side"),
        ("L", (1, 70000), ".MPO", "is 1 x 70000 pixels; .mpo holds at most 65500 a side"),
        ("L", (16384, 2), ".webp", "is 16384 x 2 pixels; .webp holds at most 16383 a side"),
        ("L", (32769, 2), ".avif", "is 32769 x 2 pixels; .avif holds at most 32768 a side"),
        *(
            ("L", (2, 65536), suffix, f"is 2 x 65536 pixels; {suffix} holds at most 65535 a side")
            for suffix in (".gif", ".tga", ".sgi")
        ),
        ("L", (70000, 1), ".pcx", "is 70000 x 1 pixels, too many for .pcx"),
        *(
            (mode, (7, 5), suffix, f"has {what}, which {suffix} does not hold; {others}")
            for what, mode, suffixes, others in LOST
            for suffix in suffixes
        ),
    ],
)
def test_what_a_format_would_lose_is_named(
    tmp_path: Path, mode: str, size: tuple[int, int], suffix: str, message: str
) -> None:
    needs(suffix.lower())
    target = tmp_path / f"out{suffix}"
    target.write_bytes(b"precious")
    with pytest.raises(ValueError, match=f"^{message}$"):
        images.write(picture(mode, size), target)
    assert target.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_format_would_lose_is_reported(tmp_path: Path) -> None:
    path = save(picture("F"), tmp_path / "in.tif")
    result = run("resize", path, "-o", tmp_path / "out.webp", "--scale", 2)
    assert result.exit_code == 1
    assert result.stderr == f"{path}: has 32-bit float pixels, which .webp does not hold; .tif does\n"
    result = run("compare", path, "-o", tmp_path / "out.ico")
    assert result.exit_code == 1
    assert f"{tmp_path / 'out.ico'}: is " in result.stderr


@pytest.mark.parametrize(
    ("suffix", "modes"),
    [
        (".png", ["L", "LA", "RGB", "RGBA", "I;16"]),
        (".tif", ["L", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]),
        (".jp2", ["L", "LA", "RGB", "RGBA", "I;16"]),
        (".jpg", ["L", "RGB", "CMYK"]),
        (".mpo", ["L", "RGB"]),
        (".webp", ["L", "LA", "RGB", "RGBA"]),
        (".avif", ["L", "LA", "RGB", "RGBA"]),
        (".gif", ["L", "RGB"]),
        (".bmp", ["L", "RGB"]),
        (".tga", ["L", "LA", "RGB", "RGBA"]),
        (".dds", ["L", "LA", "RGB", "RGBA"]),
        (".sgi", ["L", "RGB", "RGBA"]),
        (".qoi", ["RGB", "RGBA"]),
        (".pcx", ["L", "RGB"]),
        (".ppm", ["L", "RGB", "I;16", "F"]),
        (".eps", ["L", "RGB"]),
        (".pdf", ["L", "RGB"]),
    ],
)
def test_what_a_format_holds_is_written(tmp_path: Path, suffix: str, modes: list[str]) -> None:
    needs(suffix)
    for mode in modes:
        images.write(picture(mode), tmp_path / f"{mode}{suffix}")
        assert (tmp_path / f"{mode}{suffix}").stat().st_size > 0


@pytest.mark.parametrize(
    ("suffix", "side"), [(".jpg", 65500), (".gif", 65535), (".tga", 65535), (".sgi", 65535), (".webp", 16383)]
)
def test_the_longest_side_of_a_format_is_written(tmp_path: Path, suffix: str, side: int) -> None:
    needs(suffix)
    for size in ((side, 1), (1, side)):
        assert written(tmp_path, Image.new("L", size), suffix).size == size


@pytest.mark.parametrize("suffix", [".jpg", ".pcx"])
@pytest.mark.parametrize(("mode", "mode_out"), [("LA", "L"), ("RGBA", "RGB")])
def test_an_alpha_channel_that_a_format_refuses(tmp_path: Path, suffix: str, mode: str, mode_out: str) -> None:
    image = picture(mode_out, (40, 30))
    image.putalpha(255)
    result = written(tmp_path, image, suffix)
    assert result.mode == mode_out
    np.testing.assert_allclose(np.asarray(result).astype(int), np.asarray(picture(mode_out, (40, 30))), atol=20)


@pytest.mark.parametrize("suffix", [".gif", ".ppm", ".bmp"])
def test_an_opaque_picture_loses_nothing_with_its_alpha_channel(tmp_path: Path, suffix: str) -> None:
    image = Image.new("RGBA", (7, 5), (200, 100, 0, 255))
    result = written(tmp_path, image, suffix)
    np.testing.assert_array_equal(np.asarray(result.convert("RGB")), np.asarray(image.convert("RGB")))


def test_a_gif_may_be_transparent(tmp_path: Path) -> None:
    result = written(tmp_path, Image.fromarray(half_transparent()), ".gif")
    np.testing.assert_array_equal(np.asarray(result.convert("RGBA"))[..., 3], half_transparent()[..., 3])


def test_a_result_may_have_more_pixels_than_pillow_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    images.write(picture("L"), tmp_path / "out.png")


def test_formats_that_only_other_programs_write_are_not_offered() -> None:
    offered = images.formats("write")
    assert not {".wmf", ".emf", ".h5", ".hdf", ".grib", ".bufr"} & set(offered)
    assert {".png", ".jpg", ".pdf", ".mpo"} <= set(offered)


# ---- transparency ------------------------------------------------------------------------------------------
def half_transparent() -> np.ndarray:
    """Opaque red on the left; on the right green that nobody can see."""
    pixels = np.zeros((4, 8, 4), np.uint8)
    pixels[:, :4] = (255, 0, 0, 255)
    pixels[:, 4:] = (0, 255, 0, 0)
    return pixels


@pytest.mark.parametrize("method", ["linear", "cubic", "lanczos3"])
def test_hidden_colours_do_not_bleed(tmp_path: Path, method: str) -> None:
    path = save(Image.fromarray(half_transparent()), tmp_path / "in.png")
    resized(path, "-o", tmp_path / "out.png", "--scale", 4, "--method", method)
    with Image.open(tmp_path / "out.png") as image:
        result = np.asarray(image)
    visible = result[..., 3] > 0
    assert (visible & (result[..., 3] < 255)).any()
    np.testing.assert_array_equal(result[visible][:, :3], np.tile([255, 0, 0], (visible.sum(), 1)))
    assert not result[~visible].any()


def test_nearest_copies_hidden_colours(tmp_path: Path) -> None:
    path = save(Image.fromarray(half_transparent()), tmp_path / "in.png")
    resized(path, "-o", tmp_path / "out.png", "--scale", 2, "--method", "nearest")
    with Image.open(tmp_path / "out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), half_transparent().repeat(2, 0).repeat(2, 1))


def test_an_opaque_picture_does_not_change_with_an_alpha_channel(tmp_path: Path) -> None:
    colours = picture("RGB", (20, 20))
    opaque = colours.copy()
    opaque.putalpha(255)
    save(colours, tmp_path / "RGB.png")
    save(opaque, tmp_path / "RGBA.png")
    resized(tmp_path / "RGB.png", tmp_path / "RGBA.png", "-o", tmp_path / "out", "--scale", 3)
    with Image.open(tmp_path / "out/RGB.png") as rgb, Image.open(tmp_path / "out/RGBA.png") as rgba:
        np.testing.assert_array_equal(np.asarray(rgba)[..., 3], 255)
        np.testing.assert_allclose(np.asarray(rgba)[..., :3], np.asarray(rgb).astype(float), atol=1)


@pytest.mark.parametrize(("mode", "mode_out"), [("P", "RGBA"), ("L", "LA"), ("RGB", "RGBA")])
def test_a_transparent_colour_becomes_an_alpha_channel(tmp_path: Path, mode: str, mode_out: str) -> None:
    image = Image.new(mode, (4, 4), 0)
    path = save(image, tmp_path / "in.png", transparency=(0, 0, 0) if mode == "RGB" else 0)
    resized(path, "-o", tmp_path / "out.png", "--scale", 2)
    with Image.open(tmp_path / "out.png") as result:
        assert result.mode == mode_out
        assert not np.asarray(result.getchannel("A")).any()


# ---- metadata ----------------------------------------------------------------------------------------------
def test_the_orientation_is_applied(tmp_path: Path) -> None:
    upright = picture("L", (4, 9))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to see it upright
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    save(turned, tmp_path / "in.png", exif=exif)
    resized(tmp_path / "in.png", "-o", tmp_path / "out.png", "--scale", 1, "--method", "nearest")
    with Image.open(tmp_path / "out.png") as result:
        np.testing.assert_array_equal(np.asarray(result), np.asarray(upright))
        assert 0x0112 not in result.getexif()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_the_colour_profile_is_kept(tmp_path: Path, suffix: str) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(picture("RGB"), tmp_path / f"in{suffix}", icc_profile=profile)
    resized(path, "-o", tmp_path / f"out{suffix}", "--scale", 2)
    with Image.open(tmp_path / f"out{suffix}") as result:
        assert result.info["icc_profile"] == profile


# ---- folders and failures ----------------------------------------------------------------------------------
def test_a_folder_with_a_corrupt_file(tmp_path: Path) -> None:
    save(picture("RGB"), tmp_path / "in/a.png")
    save(picture("L"), tmp_path / "in/deep/er/b.JPG")
    whole = save(picture("RGB", (64, 64)), tmp_path / "in/cut.png").read_bytes()
    (tmp_path / "in/cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in/empty.png").touch()
    (tmp_path / "in/noise.gif").write_bytes(b"no picture")
    (tmp_path / "in/notes.txt").write_text("no picture, and no name of one")
    save(picture("P"), tmp_path / "in/moves.gif", save_all=True, append_images=[picture("L"), picture("1")])

    result = run("resize", tmp_path / "in", "-o", tmp_path / "out", "--scale", 2)

    assert result.exit_code == 1
    assert "2 of 6 written" in result.stdout
    assert len(result.stderr.splitlines()) == 4  # no bar, and no empty line in its place
    for name in ("cut.png", "empty.png", "noise.gif", "moves.gif"):
        assert name in result.stderr
    assert "frames" in result.stderr
    assert "notes.txt" not in result.output
    written = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert written == {"a.png", str(Path("deep/er/b.JPG"))}


def test_what_an_earlier_run_wrote_is_no_input(tmp_path: Path) -> None:
    save(picture("L"), tmp_path / "a.png")
    for _ in range(2):
        result = resized(tmp_path, "-o", tmp_path / "large", "--scale", 2, "--overwrite")
        assert "1 of 1 written" in result.stdout


def test_into_the_folder_above(tmp_path: Path) -> None:
    save(picture("L"), tmp_path / "raw/a.png")
    resized(tmp_path / "raw", "-o", tmp_path, "--scale", 2)
    assert (tmp_path / "a.png").exists()


def test_in_place(tmp_path: Path) -> None:
    path = save(picture("L"), tmp_path / "a.png")
    resized(path, "-o", path, "--scale", 2, "--overwrite")
    with Image.open(path) as result:
        assert result.size == (14, 10)


def test_existing_files_stay_unless_told_otherwise(tmp_path: Path) -> None:
    path = save(picture("L"), tmp_path / "in.png")
    target = tmp_path / "out.png"
    target.write_bytes(b"precious")
    result = run("resize", path, "-o", target, "--scale", 2)
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert target.read_bytes() == b"precious"
    resized(path, "-o", target, "--scale", 2, "--overwrite")
    assert target.read_bytes() != b"precious"


@pytest.mark.parametrize("failure", [OSError("no space left"), KeyboardInterrupt()], ids=repr)
def test_no_file_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> None:
    def dies_half_way(_image: Image.Image, file: io.BufferedWriter, **_options: object) -> None:
        file.write(b"half a pict")
        file.flush()
        raise failure

    path = save(picture("L"), tmp_path / "in.png")
    target = tmp_path / "out/out.png"
    target.parent.mkdir()
    target.write_bytes(b"precious")
    monkeypatch.setattr(Image.Image, "save", dies_half_way)
    result = run("resize", path, "-o", target, "--scale", 2, "--overwrite")
    assert result.exit_code == 1
    assert target.read_bytes() == b"precious"
    assert list(target.parent.iterdir()) == [target]


def test_the_result_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    path = save(picture("L"), tmp_path / "in.png")
    resized(path, "-o", tmp_path / "out.png", "--scale", 2)
    assert (tmp_path / "out.png").stat().st_mode == path.stat().st_mode


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = save(picture("L"), tmp_path / "a.png")
    path.chmod(0o640)
    resized(path, "-o", path, "--scale", 2, "--overwrite")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    path = save(picture("L"), tmp_path / "photos/a.png")
    link = tmp_path / "link.png"
    link.symlink_to(path)
    resized(link, "-o", link, "--scale", 2, "--overwrite")
    assert link.is_symlink()
    with Image.open(path) as result:
        assert result.size == (14, 10)


def test_a_format_without_transparency_is_reported(tmp_path: Path) -> None:
    path = save(picture("RGBA"), tmp_path / "in.png")
    result = run("resize", path, "-o", tmp_path / "out.jpg", "--scale", 2)
    assert result.exit_code == 1
    assert result.stderr == f"{path}: has transparency, which .jpg does not hold; {ALPHA}\n"
    assert not (tmp_path / "out.jpg").exists()


def test_a_background(tmp_path: Path) -> None:
    pixels = half_transparent()
    pixels[:2, :4, 3] = 51  # a fifth
    path = save(Image.fromarray(pixels), tmp_path / "in.png")
    options = ["--scale", 2, "--method", "nearest", "--background", "#0000ff"]
    for suffix in (".png", ".jpg"):
        resized(path, "-o", tmp_path / f"out{suffix}", *options)
    with Image.open(tmp_path / "out.png") as image:
        assert image.mode == "RGB"
        found = np.asarray(image)
    np.testing.assert_array_equal(found[4:, :8], np.broadcast_to([255, 0, 0], (4, 8, 3)))
    np.testing.assert_array_equal(found[:4, :8], np.broadcast_to([51, 0, 204], (4, 8, 3)))
    np.testing.assert_array_equal(found[:, 8:], np.broadcast_to([0, 0, 255], (8, 8, 3)))


@pytest.mark.parametrize("like", [[], ["--like", "opencv"]], ids=str)
def test_a_background_is_put_before_the_size_changes(tmp_path: Path, like: list[str]) -> None:
    path = save(picture("RGBA", (20, 15)), tmp_path / "in.png")
    flat = Image.alpha_composite(Image.new("RGBA", (20, 15), "tan"), picture("RGBA", (20, 15))).convert("RGB")
    resized(path, "-o", tmp_path / "a.png", "--size", "9x8", "--background", "tan", *like)
    resized(save(flat, tmp_path / "flat.png"), "-o", tmp_path / "b.png", "--size", "9x8", *like)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("mode", "colour", "mode_out"),
    [("LA", "gray", "L"), ("LA", "red", "RGB"), ("RGBA", "gray", "RGB"), ("L", "red", "L"), ("F", "red", "F")],
)
def test_the_mode_on_a_background(tmp_path: Path, mode: str, colour: str, mode_out: str) -> None:
    path = save(picture(mode), tmp_path / "in.tif")
    resized(path, "-o", tmp_path / "out.tif", "--scale", 1, "--background", colour)
    with Image.open(tmp_path / "out.tif") as result:
        assert result.mode == mode_out


def test_the_colour_profile_is_kept_on_a_background(tmp_path: Path) -> None:
    path = save(picture("RGBA"), tmp_path / "in.png", icc_profile=b"any")
    resized(path, "-o", tmp_path / "out.png", "--scale", 2, "--background", "white")
    with Image.open(tmp_path / "out.png") as result:
        assert result.info["icc_profile"] == b"any"


def test_a_missing_backend_stops_the_run_with_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_arguments: object, **_options: object) -> None:
        raise gu.BackendUnavailableError("no driver")

    for name in ("a.png", "b.png"):
        save(picture("L"), tmp_path / "in" / name)
    monkeypatch.setattr(gu, "resize", unavailable)
    result = run("resize", tmp_path / "in", "-o", tmp_path / "out", "--scale", 2, "--backend", "cuda")
    assert result.exit_code == 1
    assert result.stderr.count("no driver") == 1


# ---- wrong usage -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ([], "either --scale or --size"),
        (["--scale", 2, "--size", "4x4"], "either --scale or --size"),
        *((["--scale", bad], "positive number, such as 2") for bad in ("0", "-1", "nan", "inf", "two")),
        *((["--size", bad], "WIDTHxHEIGHT, such as 1920x1080") for bad in ("4", "0x4", "x", "x0", "4x4x4", "-4x4")),
        *((["--scale", bad], "positive number, such as 2") for bad in ("1/2", "1e400", "1e-999999999")),
        (["--fit"], "--fit needs both sides of --size"),
        *((["--fit", "--size", bad], "--fit needs both sides of --size") for bad in ("4x", "x4")),
        (["--fit", "--scale", 2], "--fit needs both sides of --size"),
        (["--fit", "--size", "4x4", "--scale", 2], "either --scale or --size"),
        (["--scale", 2, "--method", "sinc"], "lanczos3"),
        (["--scale", 2, "--backend", "rocm"], "cuda"),
        (["--scale", 2, "--method", "nearest", "--antialias"], "no meaning"),
        (["--scale", 2, "-o", "out.xyz"], ".png"),
        (["--scale", 2, "-o", "out"], "'out' has no suffix of an image format that can be written, such as .png"),
        *(
            (["--scale", 2, "--background", bad], f"{bad!r} is not an opaque colour, such as white or #1e90ff")
            for bad in ("nocolour", "#12345678", "transparent")
        ),
    ],
    ids=str,
)
def test_wrong_usage_says_what_is_accepted(tmp_path: Path, options: list[object], hint: str) -> None:
    path = save(picture("L"), tmp_path / "in.png")
    result = run("resize", path, "-o", tmp_path / "out.png", *options)
    assert result.exit_code == 2
    assert hint in result.stderr


def test_several_pictures_need_a_folder_of_their_own_names(tmp_path: Path) -> None:
    first, second = (save(picture("L"), tmp_path / name / "same.png") for name in ("a", "b"))
    result = run("resize", first, second, "-o", tmp_path / "out", "--scale", 2)
    assert result.exit_code == 2
    assert "same file" in result.stderr
    result = run("resize", first, second, "-o", first, "--scale", 2)
    assert result.exit_code == 2
    assert "need a folder" in result.stderr


def test_several_pictures_are_not_for_one_image_file(tmp_path: Path) -> None:
    paths = [save(picture("L"), tmp_path / name) for name in ("in/a.png", "in/b.png")]
    for inputs in (paths, [tmp_path / "in"]):
        result = run("resize", *inputs, "-o", tmp_path / "out.png", "--scale", 2)
        assert result.exit_code == 2
        assert "out.png' is named like an image file; several images need a folder, such as 'out'." in result.stderr
    assert not (tmp_path / "out.png").exists()
    (tmp_path / "out.png").mkdir()
    resized(*paths, "-o", tmp_path / "out.png", "--scale", 2)


def test_an_empty_folder(tmp_path: Path) -> None:
    result = run("resize", tmp_path, "-o", tmp_path / "out", "--scale", 2)
    assert result.exit_code == 2
    assert "No images" in result.stderr


def test_a_scale_that_leaves_nothing(tmp_path: Path) -> None:
    path = save(picture("L"), tmp_path / "in.png")
    result = run("resize", path, "-o", tmp_path / "out.png", "--scale", 0.1)
    assert result.exit_code == 1
    assert f"{path}: --scale 0.1 leaves no pixel of a 7 x 5 image" in result.stderr


@pytest.mark.parametrize("options", [["--scale", "1e9"], ["--size", "x9999999999"]], ids=str)
@pytest.mark.parametrize("like", [[], ["--like", "opencv"], ["--like", "pillow"]], ids=str)
def test_a_size_that_is_too_large(tmp_path: Path, options: list[str], like: list[str]) -> None:
    path = save(picture("L"), tmp_path / "in.png")
    result = run("resize", path, "-o", tmp_path / "out.png", *options, *like)
    assert result.exit_code == 1
    assert result.stderr == f"{path}: {' '.join(options)} of a 7 x 5 image is more than 2147483647 pixels a side\n"


def test_a_size_for_which_there_is_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(gu, "resize", full)
    path = save(picture("L"), tmp_path / "in.png")
    result = run("resize", path, "-o", tmp_path / "out.png", "--scale", "1e4")
    assert result.exit_code == 1
    assert result.stderr == f"{path}: --scale 1e4 of a 7 x 5 image needs more memory than there is\n"


# ---- compare, info, demo -----------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "I;16", "F"])
def test_compare_draws_a_sheet(tmp_path: Path, mode: str) -> None:
    path = save(picture(mode, (100, 70)), tmp_path / "in.tif")
    result = run("compare", path, "-o", tmp_path / "sheet.png", "--scale", 8, "--backend", "cpu")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "sheet.png") as drawn:
        assert drawn.mode == "RGB"


def test_the_sheet_holds_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture("RGB", (100, 70))
    asked = []
    resample = sheet.resample
    monkeypatch.setattr(sheet, "resample", lambda *a, **k: asked.append(resample(*a, **k)) or asked[-1])
    drawn = np.asarray(sheet.comparison(image, METHODS, scale=8, title="noise", backend="cpu", center=(99, 0)))
    assert len(asked) == len(METHODS)
    # The part is moved inside the picture, and nearest repeats its pixels.
    corner = np.asarray(image)[:30, 60:].repeat(8, 0).repeat(8, 1)
    np.testing.assert_array_equal(np.asarray(asked[list(METHODS).index("nearest")]), corner)
    windows = np.lib.stride_tricks.sliding_window_view(drawn, (240, 320, 3))[::1, ::1, 0]
    for tile in asked:
        starts = np.argwhere((windows[..., 0, 0, :] == np.asarray(tile)[0, 0]).all(-1))
        assert any(np.array_equal(windows[row, column], np.asarray(tile)) for row, column in starts)


@pytest.mark.parametrize("scale", [1, 2.5, 100])
@pytest.mark.parametrize("size", [(3, 2), (1, 900), (900, 1)])
def test_pictures_of_any_shape_can_be_compared(size: tuple[int, int], scale: float) -> None:
    image = picture("L", size)
    drawn = sheet.comparison(image, ["nearest", "cubic"], scale=scale, title="", backend="cpu")
    assert np.asarray(drawn).min() < 255


def test_displayable_numbers() -> None:
    values = np.array([[-1.0, 0.0], [np.nan, 1.0]], np.float32)
    shown = np.asarray(images.displayable(Image.fromarray(values)))
    np.testing.assert_array_equal(shown[..., 0], [[0, 128], [0, 255]])
    constant = images.displayable(Image.fromarray(np.full((2, 2), 7, np.int32)))
    assert not np.asarray(constant).any()


@pytest.mark.parametrize(
    ("options", "exit_code", "hint"),
    [
        (["--scale", "0.5"], 2, "from 1 to 100"),
        (["--scale", "101"], 2, "from 1 to 100"),
        (["--at", "middle"], 2, "X,Y"),
        (["--at", "7,4"], 2, "the last pixel of this image is 6,4"),
        (["--at", "6,5"], 2, "6,5 lies outside"),
        (["-o", "in.png"], 1, "--overwrite"),
        (["-o", "sheet.xyz"], 2, "has no suffix of an image format"),
    ],
    ids=str,
)
def test_wrong_usage_of_compare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], exit_code: int, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save(picture("L"), Path("in.png"))
    result = run("compare", "in.png", "-o", "sheet.png", *options)
    assert result.exit_code == exit_code
    assert hint in result.stderr


def test_compare_checks_the_suffix_before_it_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "resample", lambda *_arguments, **_options: pytest.fail("drawn"))
    path = save(picture("L"), tmp_path / "in.png")
    assert run("compare", path, "-o", tmp_path / "sheet.foo").exit_code == 2


def test_compare_makes_the_folder(tmp_path: Path) -> None:
    path = save(picture("L"), tmp_path / "in.png")
    result = run("compare", path, "-o", tmp_path / "new/er/sheet.png", "--at", "6,4", "--backend", "cpu")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "new/er/sheet.png").exists()


def test_compare_of_a_corrupt_file(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_bytes(b"no picture")
    result = run("compare", tmp_path / "in.png", "-o", tmp_path / "sheet.png")
    assert result.exit_code == 1
    assert "in.png" in result.stderr


def test_info_names_the_backends() -> None:
    result = run("info")
    assert result.exit_code == 0
    assert "cpu" in result.output


def test_demo(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    result = run("demo", "-o", tmp_path / "demo", "--backend", "cpu")
    assert result.exit_code == 0, result.output
    assert "backend cpu" in result.output
    with (
        Image.open(tmp_path / "demo/photograph.png") as small,
        Image.open(tmp_path / "demo/enlarged.png") as big,
    ):
        assert big.size == (4 * small.width, 4 * small.height)
    assert (tmp_path / "demo/methods.png").exists()


@pytest.mark.parametrize("name", ["photograph.png", "enlarged.png", "methods.png"])
def test_demo_replaces_only_with_overwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pytest.importorskip("skimage")
    (tmp_path / name).write_bytes(b"precious")
    with monkeypatch.context() as patch:
        patch.setattr(images, "resample", lambda *_arguments, **_options: pytest.fail("computed"))
        result = run("demo", "-o", tmp_path, "--backend", "cpu")
    assert result.exit_code == 1
    assert f"{tmp_path / name} exists; --overwrite replaces it" in result.stderr
    assert (tmp_path / name).read_bytes() == b"precious"
    monkeypatch.setattr(images, "resample", lambda image, *_arguments, **_options: image)
    assert run("demo", "-o", tmp_path, "--backend", "cpu", "--overwrite").exit_code == 0
    assert (tmp_path / name).read_bytes() != b"precious"


# ---- warmup ------------------------------------------------------------------------------------------------
def fresh(cache: Path, *arguments: str) -> str:
    """Run Python in a process of its own, whose kernels are kept in a folder of their own."""
    command, environment = [sys.executable, *arguments], os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_warmup_leaves_nothing_to_compile(tmp_path: Path) -> None:
    def kernels() -> set[Path]:
        return set(tmp_path.rglob("*.nbc"))

    options = [f"--{name}={value}" for name, value in (("operator", "nearest"), ("operator", "pixel_shuffle"))]
    printed = fresh(tmp_path, "-m", "gpu_upsample", "warmup", *options, "--dtype=uint8", "--backend=cpu")
    warm = kernels()
    assert warm
    folder = Path(printed.splitlines()[-1].strip())
    assert {path.parent for path in warm} == {folder}

    calls = """
import numpy as np, gpu_upsample as gu
x = np.zeros((2, 90, 128, 3), "{dtype}")
pictures, planes = x.view(), np.moveaxis(x, -1, 1)
pictures.flags.writeable = False
for factor in (2, 3.3, 0.7):
    for array, layout in ((x, "channels_last"), (pictures, "channels_last"), (planes, "channels_first")):
        gu.interpolate(array, scale_factor=factor, mode="nearest", data_format=layout)
gu.pixel_shuffle(x.reshape(-1, 4, 9, 16), 2)
"""
    fresh(tmp_path, "-c", calls.format(dtype="uint8"))
    assert kernels() == warm
    fresh(tmp_path, "-c", calls.format(dtype="float64"))
    assert kernels() > warm


def test_warmup_says_what_it_did() -> None:
    result = run("warmup", "--operator", "pixel_shuffle", "--operator", "conv_transpose", "--dtype", "uint8")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0][:3] == ["cpu", "pixel_shuffle", "uint8"]
    assert lines[0][4] == "s"
    assert lines[1] == ["cpu", "conv_transpose", "uint8", "not", "for", "this", "dtype"]
    assert Path(lines[-1][0]).is_dir()


def test_warmup_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call plans, and none is refused but the products of integers; the kernels are left out."""
    executed = []
    monkeypatch.setattr(call.Route, "_execute", lambda route, *_: executed.append(route.plan.steps))
    result = run("warmup", "--backend", "cpu")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert len(lines) == 3 * len(warmup.OPERATORS) + 2
    assert [line[1:3] for line in lines if line[-1] == "dtype"] == [
        ["conv_transpose", "uint8"],
        ["gradients", "uint8"],
    ]
    kinds = {type(step).__name__ for steps in executed for step in steps}
    assert kinds == cpu._RUN.keys() - {"Bands"}  # which are two of them


def test_warmup_in_bfloat16() -> None:
    pytest.importorskip("ml_dtypes")
    result = run("warmup", "--operator", "pixel_shuffle", "--dtype", "bfloat16", "--backend", "cpu")
    assert "bfloat16" in result.stdout
    assert "not for this dtype" not in result.stdout


def test_warmup_for_a_missing_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    load = call.load

    def unavailable(name: str) -> object:
        if name == "cuda":
            raise gu.BackendUnavailableError("no driver")
        return load(name)

    monkeypatch.setattr(call, "load", unavailable)
    result = run("warmup", "--operator", "nearest", "--backend", "cuda")
    assert result.exit_code == 1
    assert result.stderr.count("no driver") == 1


@pytest.mark.parametrize("options", [["--operator", "sinc"], ["--dtype", "float8"], ["--backend", "rocm"]], ids=str)
def test_wrong_usage_of_warmup(options: list[str]) -> None:
    result = run("warmup", *options)
    assert result.exit_code == 2
    assert {"--operator": "pixel_shuffle", "--dtype": "float16", "--backend": "cuda"}[options[0]] in result.stderr


# ---- starting ----------------------------------------------------------------------------------------------
def test_help_imports_nothing_heavy() -> None:
    code = """
import sys
from gpu_upsample.cli.commands import main
for arguments in (["--help"], ["resize", "--help"], ["warmup", "--help"], ["--version"]):
    main(arguments, standalone_mode=False)
heavy = {"PIL", "rich", "numba", "llvmlite", "cupy", "torch", "skimage", "scipy"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("click", "gpu-upsample needs Click: pip install click rich pillow\n"),
        ("rich", "gpu-upsample needs Rich: pip install click rich pillow\n"),
        ("PIL", "gpu-upsample needs Pillow: pip install click rich pillow\n"),
        ("numpy", "ModuleNotFoundError: No module named 'numpy'\n"),
    ],
)
def test_without_the_packages_of_the_extra(tmp_path: Path, missing: str, said: str) -> None:
    code = f"""
import runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
sys.argv[1:] = ["resize", {str(tmp_path)!r}, "-o", {str(tmp_path / "out")!r}, "--scale", "2"]
runpy.run_module("gpu_upsample", run_name="__main__")
"""
    save(picture("L"), tmp_path / "in.png")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == said if "needs" in said else done.stderr.endswith(said)


def test_python_m_is_the_command_line() -> None:
    command = [sys.executable, "-m", "gpu_upsample", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert gu.__version__ in done.stdout


def test_the_environment_names_the_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(images, "resample", lambda image, *_, backend, **__: asked.append(backend) or image)
    path = save(picture("L"), tmp_path / "in.png")
    for name in ("cuda", "cpu"):
        monkeypatch.setenv("GPU_UPSAMPLE_BACKEND", name)
        assert run("resize", path, "-o", tmp_path / "out.png", "--scale", 1, "--overwrite").exit_code == 0
    assert asked == ["cuda", "cpu"]
