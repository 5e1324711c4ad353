"""What lies between an image file and an array; the part of the command line that knows Pillow."""

from __future__ import annotations

import re
import stat
import struct
import uuid
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageMode, ImageOps

import gpu_upsample as gu
from gpu_upsample.typing import Backend, Method

# Image modes that are resampled as they are, and what the others are read as.
_RESAMPLED = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "I", "F", "I;16", "I;16B"})
_READ_AS = {
    "1": "L",
    "P": "RGB",
    "PA": "RGBA",
    "La": "LA",
    "RGBa": "RGBA",
    "RGBX": "RGB",
    "YCbCr": "RGB",
    "HSV": "RGB",
}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_WITHOUT_ALPHA = {"LA": "L", "RGBA": "RGB"}

# Pillow's own defaults for these formats lose what a good filter gains.
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
}

# The longest side that a format holds, as its library writes and reads it.
_LONGEST = {"AVIF": 32768, "GIF": 65535, "JPEG": 65500, "MPO": 65500, "SGI": 65535, "TGA": 65535, "WEBP": 16383}


def formats(direction: Literal["read", "write"]) -> dict[str, str]:
    """Return file name suffix -> format name, for the formats that can be read or written."""
    suffixes = Image.registered_extensions()
    known = Image.OPEN if direction == "read" else Image.SAVE.keys() - _stubs()
    return {suffix: name for suffix, name in suffixes.items() if name in known}


def _stubs() -> set[str]:
    """Return the formats that Pillow recognises, but leaves to the program to write."""
    classes = {name: opens for name, (opens, _) in Image.OPEN.items() if isinstance(opens, type)}
    return {name for name, opens in classes.items() if issubclass(opens, ImageFile.StubImageFile)}


def read(path: Path) -> Image.Image:
    """Read an image: decoded, upright, and in a mode whose channels can be averaged.

    Parameters
    ----------
    path : Path
        File in any format that Pillow reads. Of 16-bit colour, Pillow keeps the upper 8 bits.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    ValueError
        If the mode cannot be resampled, or the file is an animation or has several pages.
    OSError
        If the file is no image or is cut short. A decoder may raise other errors on a corrupt file.
    """
    with Image.open(path) as image:
        # The further frames of an MPO file, which many phones write with the suffix .jpg, are its previews.
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if frames > 1:
            raise ValueError(f"has {frames} frames; only single images are supported")
        upright = ImageOps.exif_transpose(image)
        upright.format = image.format  # which a copy has forgotten
    mode = _READ_AS.get(upright.mode, upright.mode)
    if upright.has_transparency_data:
        mode = _WITH_ALPHA.get(mode, mode)
    if mode not in _RESAMPLED:
        raise ValueError(f"has mode {mode}; supported are {', '.join(sorted({*_RESAMPLED, *_READ_AS}))}")
    return upright if upright.mode == mode else upright.convert(mode)


def resample(
    image: Image.Image, size: tuple[int, int], *, method: str, antialias: bool, backend: Backend
) -> Image.Image:
    """Return `image` at another (width, height)."""

    def resized(array: NDArray[Any]) -> NDArray[Any]:
        one = cast("Method", method)
        return gu.resize(array, size=size[::-1], axes=(0, 1), method=one, antialias=antialias, backend=backend)

    pixels = np.asarray(image)
    if image.mode in ("LA", "RGBA") and method != "nearest":
        # The hidden colour of transparent pixels must not bleed into the visible ones: average colours
        # weighted by their opacity. (Nearest averages nothing.)
        result = _straight(resized(_premultiplied(pixels)))
    else:
        result = resized(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))
    return as_image(result, image)


def as_image(pixels: NDArray[Any], like: Image.Image) -> Image.Image:
    """Return `pixels` as an image of the mode and colour profile of another."""
    if _mode(like) != like.mode:
        pixels = pixels.clip(0, 0xFFFF).astype(np.uint16)  # where the filter overshot
    # CMYK is the one mode that shape and dtype do not tell.
    image = Image.fromarray(pixels, "CMYK" if like.mode == "CMYK" else None)
    if profile := like.info.get("icc_profile"):
        image.info["icc_profile"] = profile
    return image


def _mode(image: Image.Image) -> str:
    """Return the mode that holds what the file of `image` does: Pillow reads the 16 bits of PGM as 32."""
    return "I;16" if (image.format, image.mode) == ("PPM", "I") else image.mode


def _premultiplied(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    result = pixels.astype(np.float32)
    result[..., :-1] *= result[..., -1:] / np.float32(255)
    return result


def _straight(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    alpha = pixels[..., -1:]
    visible = alpha >= 0.5  # the others round to an opacity of 0 and have no colour
    np.multiply(pixels[..., :-1], 255 / np.where(visible, alpha, np.inf), out=pixels[..., :-1])
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def displayable(image: Image.Image) -> Image.Image:
    """Return `image` as RGB: what is transparent on white, and any range of numbers as black to white."""
    if image.mode in ("I", "F", "I;16", "I;16B"):
        values = np.asarray(image, dtype=np.float64)
        finite = values[np.isfinite(values)]
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
        grey = np.nan_to_num((values - low) * (255 / (high - low) if high > low else 0))
        return Image.fromarray(np.rint(grey.clip(0, 255)).astype(np.uint8)).convert("RGB")
    return flattened(image, (255, 255, 255)).convert("RGB")


def flattened(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Return `image` with what is transparent on a colour, without an alpha channel; a grey one on grey stays grey."""
    if image.mode not in _WITHOUT_ALPHA:
        return image
    under = Image.new("RGBA", image.size, colour)
    mode = "L" if image.mode == "LA" and len(set(colour)) == 1 else "RGB"
    flat = Image.alpha_composite(under, image.convert("RGBA")).convert(mode)
    flat.format = image.format
    if mode == _WITHOUT_ALPHA[image.mode] and (profile := image.info.get("icc_profile")):
        flat.info["icc_profile"] = profile
    return flat


def write(image: Image.Image, path: Path) -> None:
    """Write `image` in the format that the suffix of `path` names; colour profiles are kept.

    What stood at `path` before stays until the new file is complete. Its permissions remain, and so does a link to it.
    Missing folders are made.

    Raises
    ------
    ValueError
        If no format has this suffix, or the format does not hold the size, the transparency or the depth of `image`.
    OSError
        If the file cannot be written.
    """
    suffix = path.suffix.lower()
    name = formats("write").get(suffix)
    if name is None:
        raise ValueError(f"no image format that can be written has the suffix {suffix!r}")
    longest = _LONGEST.get(name)
    if longest is not None and max(image.size) > longest:
        raise ValueError(f"is {image.width} x {image.height} pixels; {suffix} holds at most {longest} a side")
    options = dict(_SAVE_OPTIONS.get(name, {}))
    if image.mode == "CMYK" and name not in ("JPEG", "TIFF"):
        image = image.convert("RGB")  # to which the profile of the inks does not apply
    elif profile := image.info.get("icc_profile"):
        options["icc_profile"] = profile
    if name == "ICO" and max(image.size) <= 256:  # of a larger one, Pillow stores only smaller ones
        options["sizes"] = [image.size]
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, because a file can be replaced in one step only within one file system.
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            _save(image, file, suffix, {"format": name, **options})
        if name in Image.OPEN:
            with part.open("rb") as file:
                # Image.open would refuse a file of very many pixels.
                _check_held(image, Image.OPEN[name][0](file, part.name), suffix)
        if path.exists():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _check_held(image: Image.Image, held: Image.Image, suffix: str) -> None:
    """Refuse a file that holds less than `image`: Pillow drops silently what some formats have no place for."""
    if held.size != image.size:
        raise ValueError(
            f"is {image.width} x {image.height} pixels, which {suffix} stores as {held.width} x {held.height}"
        )
    given, stored = (_dtype(one) for one in (image, held))
    shallow = not np.can_cast(given, stored)
    if shallow or (_transparent(image) and not held.has_transparency_data):
        raise ValueError(_not_held(image, suffix))


def _save(image: Image.Image, file: IO[bytes], suffix: str, options: dict[str, Any]) -> None:
    """Save `image`, without its alpha channel where a format has none and nothing is transparent."""
    try:
        image.save(file, **options)
    except (OverflowError, struct.error) as error:  # of a field of the header
        raise ValueError(f"is {image.width} x {image.height} pixels, too many for {suffix}") from error
    except (OSError, ValueError) as error:
        if not re.search("mode|cannot save", str(error), re.IGNORECASE):
            raise
        if image.mode not in _WITHOUT_ALPHA or _transparent(image):
            raise ValueError(_not_held(image, suffix)) from error
        file.seek(0)
        file.truncate()
        _save(image.convert(_WITHOUT_ALPHA[image.mode]), file, suffix, options)


def _transparent(image: Image.Image) -> bool:
    return "A" in image.getbands() and image.getchannel("A").getextrema() != (255, 255)


def _dtype(image: Image.Image) -> np.dtype[Any]:
    return np.dtype(ImageMode.getmode(_mode(image)).typestr)


def _not_held(image: Image.Image, suffix: str) -> str:
    """Say what a format does not hold of `image`, and which formats do."""
    dtype = _dtype(image)
    if _transparent(image):
        return f"has transparency, which {suffix} does not hold; .png, .tif and .webp do; --background replaces it"
    if dtype.itemsize == 1:
        return f"has pixels of mode {image.mode}, which {suffix} does not hold; .png and .tif do"
    kind = "float" if dtype.kind == "f" else "integer"
    others = ".png and .tif do" if dtype.itemsize == 2 else ".tif does"
    return f"has {8 * dtype.itemsize}-bit {kind} pixels, which {suffix} does not hold; {others}"
