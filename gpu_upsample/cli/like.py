"""Resizing an image as another library does: what the command line calls ``--like``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from gpu_upsample.cli.images import as_image
from gpu_upsample.cli.sizes import Scale, Size, checked
from gpu_upsample.compat import opencv, pillow, torch_uint8
from gpu_upsample.typing import Backend


@dataclass(frozen=True)
class Likeness:
    """How a library resizes images.

    Attributes
    ----------
    methods : dict
        Name of a method on the command line -> what the library calls it, and whether it can widen the filter when
        shrinking, and can leave that; the first is the default.
    run : callable
        Takes the image, the size, the library's method, antialias and the backend.
    """

    methods: dict[str, tuple[Any, tuple[bool, ...]]]
    run: Callable[[Image.Image, Size, Any, bool, Backend], Image.Image]


def _like_pillow(image: Image.Image, size: Size, method: Any, _antialias: bool, backend: Backend) -> Image.Image:
    # What Pillow calls I;16B are the same numbers in another order of bytes.
    source = np.asarray(image).astype(np.uint16) if image.mode == "I;16B" else image
    return as_image(np.asarray(pillow.resize(source, size.of(image.size), method, backend=backend)), image)


def _like_opencv(image: Image.Image, size: Size, method: Any, _antialias: bool, backend: Backend) -> Image.Image:
    # OpenCV rounds the size that a factor gives in its own way, and samples at the factor itself.
    pixels = np.asarray(image)
    if isinstance(size, Scale):
        factor = float(size.factor)
        checked(size, image.size, (round(image.width * factor), round(image.height * factor)))
        result = opencv.resize(pixels, None, fx=factor, fy=factor, interpolation=method, backend=backend)
    else:
        result = opencv.resize(pixels, size.of(image.size), interpolation=method, backend=backend)
    return as_image(result, image)


def _like_torch(image: Image.Image, size: Size, method: Any, antialias: bool, backend: Backend) -> Image.Image:
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        raise ValueError(f"has pixels of {pixels.dtype}; --like torch is for 8-bit images")
    batch = pixels.reshape(1, *pixels.shape[:2], -1)
    new = size.of(image.size)[::-1]
    result = torch_uint8.interpolate(
        batch, new, mode=method, antialias=antialias, data_format="channels_last", backend=backend
    )
    return as_image(result.reshape(*new, *pixels.shape[2:]), image)


_ALWAYS, _NEVER, _EITHER = (True,), (False,), (True, False)

LIKE: dict[str, Likeness] = {
    "pillow": Likeness(
        {
            "nearest": (pillow.NEAREST, _NEVER),
            "box": (pillow.BOX, _ALWAYS),
            "linear": (pillow.BILINEAR, _ALWAYS),
            "hamming": (pillow.HAMMING, _ALWAYS),
            "cubic": (pillow.BICUBIC, _ALWAYS),
            "lanczos3": (pillow.LANCZOS, _ALWAYS),
        },
        _like_pillow,
    ),
    "opencv": Likeness(
        {
            "nearest": (opencv.INTER_NEAREST, _NEVER),
            "nearest-exact": (opencv.INTER_NEAREST_EXACT, _NEVER),
            "linear": (opencv.INTER_LINEAR, _NEVER),
            "linear-exact": (opencv.INTER_LINEAR_EXACT, _NEVER),
            "cubic": (opencv.INTER_CUBIC, _NEVER),
            "area": (opencv.INTER_AREA, _NEVER),
            "lanczos4": (opencv.INTER_LANCZOS4, _NEVER),
        },
        _like_opencv,
    ),
    "torch": Likeness(
        {
            "nearest": ("nearest", _NEVER),
            "nearest-exact": ("nearest-exact", _NEVER),
            "linear": ("bilinear", _EITHER),
            "cubic": ("bicubic", _EITHER),
            "lanczos3": ("lanczos", _ALWAYS),
        },
        _like_torch,
    ),
}
"""Name of a library -> how it resizes images."""


def likeness(library: str, method: str, antialias: bool | None, backend: Backend) -> Callable[[Image.Image, Size], Any]:
    """Return the function that gives an image another size with the pixels of a library.

    Raises
    ------
    ValueError
        If the library has no such method, or cannot be told to antialias, or not to.
    """
    how = LIKE[library]
    if method not in how.methods:
        raise ValueError(f"--like {library} offers {', '.join(how.methods)}, not {method}")
    name, choices = how.methods[method]
    if antialias is not None and antialias not in choices:
        raise ValueError(f"{library} {'always' if choices[0] else 'never'} widens filter {method} when shrinking")
    smooth = choices[0] if antialias is None else antialias
    return lambda image, size: how.run(image, size, name, smooth, backend)
