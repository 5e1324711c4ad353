"""Pillow's resizing: ``from gpu_upsample.compat import pillow``, and ``pillow.resize(image, size)``.

The results are those of Pillow 13.0.0, bit for bit; where a sum of mode I exceeds its limits, Pillow's overflows, and
the result here is the limit. Images are arrays or ``PIL.Image.Image`` objects, and results are of the same type; only
the latter need Pillow.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.arrays import kind_of
from gpu_upsample.call import apply
from gpu_upsample.compat.pillow_plan import DTYPES, KERNELS, Box, Size, plan_means, plan_resize, regions
from gpu_upsample.dispatch import load
from gpu_upsample.plan.cache import cached, has_items, plain
from gpu_upsample.plan.shapes import LONGEST_AXIS, as_flag, as_integer, as_number
from gpu_upsample.plan.windows import integers
from gpu_upsample.rearrange import pixel_unshuffle
from gpu_upsample.typing import Array, Backend, Integers, Shape

__all__ = [
    "BICUBIC", "BILINEAR", "BOX", "HAMMING", "LANCZOS", "MKS2013", "MKS2021", "NEAREST", "Resampling", "reduce",
    "resize", "thumbnail",
]  # fmt: skip


class Resampling(IntEnum):
    """The filters by Pillow's names and numbers."""

    NEAREST = 0
    BOX = 4
    BILINEAR = 2
    HAMMING = 5
    BICUBIC = 3
    LANCZOS = 1
    MKS2013 = 6
    MKS2021 = 7


NEAREST, BOX, BILINEAR, HAMMING, BICUBIC, LANCZOS, MKS2013, MKS2021 = Resampling

Part = Sequence[SupportsFloat] | NDArray[Any]

_cached_resize = cached(plan_resize)
_cached_means = cached(plan_means)


# ---- images and arrays --------------------------------------------------------------------------------------
_ALPHA = {"1": False, "P": False, "L": False, "I": False, "F": False, "I;16": False} | {
    "RGB": False, "HSV": False, "YCbCr": False, "CMYK": False, "RGBX": False, "RGBa": False, "La": False, "LAB": False,
    "LA": True, "RGBA": True,
}  # fmt: skip
"""Pillow's mode -> whether its last channel is an alpha that the others are multiplied by."""


_STORED = {"LAB": np.array([0, 128, 128], np.uint8)}
"""Pillow's mode -> the bits in which the bytes that Pillow keeps, and filters, differ from those that it tells."""

_LARGEST_BLOCK = 2**24
"""Pixels of a block of `reduce`, whose part of the mean has 24 bits behind the binary point."""


def _is_image(image: Any) -> bool:
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)


def _on_arrays(function: Callable[[Any, bool, bool], Any], image: Any, alpha: bool | None) -> Any:
    """Return what a function makes of the array of an image, as an image of the same kind.

    The function takes an array, whether its last channel is alpha, and whether it holds indices of a palette.
    """
    if _is_image(image):
        if image.mode not in _ALPHA:
            raise ValueError(f"image must be of one of the modes {', '.join(_ALPHA)}; got {image.mode!r}")
        if 0 in image.size:
            raise ValueError(f"image must not be empty, got size {image.size}")
        if alpha is not None:
            raise ValueError(f"alpha is for arrays; an image has its mode, here {image.mode!r}; got alpha={alpha!r}")
        flipped = _STORED.get(image.mode)
        array = np.asarray(image) if flipped is None else np.asarray(image) ^ flipped
        result = function(array, _ALPHA[image.mode], image.mode == "P")
        return _image(result if flipped is None else result ^ flipped, image)
    held = kind_of("image", image)
    _check(held.shape, held.dtype)
    either = held.dtype == "uint8" and held.shape[2:] in ((2,), (4,))
    has_alpha = either if alpha is None else as_flag("alpha", alpha)
    if has_alpha and not either:
        raise ValueError(f"alpha=True needs uint8 of 2 or 4 channels; got {held.dtype} of shape {held.shape}")
    array = _home(held.on_device).as_array(held.take(image))
    return held.give_back(function(array, has_alpha, False), held.dtype)


def _home(on_device: bool) -> Any:
    return load("cuda" if on_device else "cpu")


def _check(shape: tuple[int, ...], dtype: str) -> None:
    if dtype not in (*DTYPES, "bool"):
        raise TypeError(f"image must have one of the dtypes {', '.join(DTYPES)}, bool; got {dtype}")
    if len(shape) not in (2, 3):
        raise ValueError(f"image must have 2 axes, (H, W), or 3, (H, W, C); got shape {shape}")
    if not 1 <= min(shape[:2]) <= max(shape[:2]) <= LONGEST_AXIS:
        raise ValueError(f"height and width of image must lie between 1 and {LONGEST_AXIS}; got shape {shape}")


def _image(array: Any, like: Any) -> Any:
    """Return an array as an image with the mode, the palette and the info of another."""
    height, width = array.shape[:2]
    if like.mode == "1":
        array = np.packbits(array, axis=1)
    image = sys.modules["PIL.Image"].frombytes(like.mode, (width, height), array.tobytes())
    if like.mode == "P":
        image.putpalette(like.getpalette(None), like.im.getpalettemode())
    image.info = dict(like.info)
    return image


def _premultiplied(x: Any) -> Any:
    """Multiply by alpha in units of 1/255: Pillow's RGBA to RGBa, and LA to La."""
    alpha = x[..., -1:]
    product = x.astype(np.uint16) * alpha + 128
    result = (((product >> 8) + product) >> 8).astype(np.uint8)
    result[..., -1:] = alpha
    return result


def _divided(x: Any) -> Any:
    """Divide by alpha in units of 1/255: Pillow's RGBa to RGBA, and La to LA."""
    alpha = x[..., -1:].astype(np.uint16)
    quotient = x.astype(np.uint16) * 255 // (alpha + 255 * (alpha == 0).astype(np.uint16))
    result = quotient.clip(0, 255).astype(np.uint8)
    result[..., -1:] = x[..., -1:]
    return result


# ---- arguments ----------------------------------------------------------------------------------------------
def _items(value: Any) -> tuple[Any, ...]:
    """Return the items of a sequence; what is none has none."""
    return tuple(value) if has_items(value) else ()


def _pair(name: str, value: Any) -> Size:
    try:
        first, second = (as_integer(name, n) for n in _items(value))
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be two integers, (width, height); got {value!r}") from None
    if not 1 <= min(first, second) <= max(first, second) <= LONGEST_AXIS:
        raise ValueError(f"{name} must be two integers from 1 to {LONGEST_AXIS}, (width, height); got {value!r}")
    return first, second


def _filter(resample: Any) -> int:
    if resample is None:
        return BICUBIC
    if as_integer("resample", resample) not in tuple(Resampling):
        listed = ", ".join(f"{kind.name} ({kind.value})" for kind in Resampling)
        raise ValueError(f"resample must be one of {listed}; got {resample!r}")
    return int(resample)


def _box(box: Any, size: Size, read: Callable[[str, Any], Any]) -> Any:
    """Return the checked part of an image of that size: (left, upper, right, lower)."""
    if box is None:
        return (0, 0, *size)
    try:
        left, upper, right, lower = _items(box)
    except (TypeError, ValueError):
        raise TypeError(f"box must be four numbers, (left, upper, right, lower); got {box!r}") from None
    edges = tuple(read("box", edge) for edge in (left, upper, right, lower))
    inside = min(edges[:2]) >= 0 and edges[2] <= size[0] and edges[3] <= size[1]
    if not inside or edges[2] < edges[0] or edges[3] < edges[1]:
        raise ValueError(
            f"box must be (left, upper, right, lower) with 0 <= left <= right <= {size[0]} and "
            f"0 <= upper <= lower <= {size[1]}; got {box!r}"
        )
    return edges


# ---- on NumPy and CuPy arrays -------------------------------------------------------------------------------
def _resized(
    x: Any, alpha: bool, size: Size, resample: int, box: Box, gap: float | None, backend: Backend | None
) -> Any:
    old = (x.shape[1], x.shape[0])
    resample = NEAREST if x.dtype == bool else resample
    if resample != NEAREST and not (size == old and box == (0, 0, *old)):
        if alpha:
            return _divided(_resized(_premultiplied(x), False, size, resample, box, gap, backend))
        if gap is not None:
            x, box = _reduced_first(x, size, resample, box, gap, backend)
    return apply(_cached_resize, (size, int(resample), box), {"image": x}, None, backend)


def _reduced_first(x: Any, size: Size, resample: int, box: Box, gap: float, backend: Backend | None) -> tuple[Any, Box]:
    """Reduce an image by whole factors, as far as the filter then still shrinks by `gap`; return it and its box."""
    lengths = (box[2] - box[0], box[3] - box[1])
    factor = (int(lengths[0] / size[0] / gap) or 1, int(lengths[1] / size[1] / gap) or 1)
    if factor == (1, 1):
        return x, box
    reach_x, reach_y = ((KERNELS[resample].support - 0.5) * (a / n) for a, n in zip(lengths, size, strict=True))
    part = (
        max(0, int(box[0] - reach_x)),
        max(0, int(box[1] - reach_y)),
        min(x.shape[1], math.ceil(box[2] + reach_x)),
        min(x.shape[0], math.ceil(box[3] + reach_y)),
    )
    if part[0] == part[2] or part[1] == part[3]:
        raise ValueError(f"box must not be empty where reducing_gap reduces an image first, got {box!r}")
    left, upper, right, lower = ((edge - part[i % 2]) / factor[i % 2] for i, edge in enumerate(box))
    return _means(x, factor, part, backend), (left, upper, right, lower)


def _reduced(x: Any, alpha: bool, factor: Size, box: tuple[int, int, int, int], backend: Backend | None) -> Any:
    if factor == (1, 1):
        size = (box[2] - box[0], box[3] - box[1])
        return apply(_cached_resize, (size, int(NEAREST), box), {"image": x}, None, backend)
    if alpha:
        return _divided(_means(_premultiplied(x), factor, box, backend))
    return _means(x, factor, box, backend)


def _means(x: Any, factor: Size, box: tuple[int, int, int, int], backend: Backend | None) -> Any:
    """Return the means of the blocks of an image, region by region, and band by band where that matters."""
    dtype = str(x.dtype.newbyteorder("="))
    if dtype not in ("uint8", "int32", "float32"):
        raise TypeError(f"image must have one of the dtypes uint8, int32 and float32 to be reduced; got {dtype}")
    home = _home(kind_of("image", x).on_device)
    shape = tuple(-((box[i] - box[i + 2]) // factor[i]) for i in (1, 0))
    result = home.empty((*shape, *x.shape[2:]), x.dtype)
    bands: list[Any] = [...] if dtype == "uint8" or x.ndim == 2 else list(range(x.shape[2]))
    for region in regions(factor, box):
        for band in bands:
            part = x[(*region.source, band)]
            if dtype != "uint8":
                part = pixel_unshuffle(part[None], region.block, backend=backend)
            home.copy(apply(_cached_means, (region,), {"image": part}, None, backend), result[(*region.target, band)])
    return result


# ---- public -------------------------------------------------------------------------------------------------
def resize(
    image: Array,
    size: Shape,
    resample: int | None = None,
    box: Part | None = None,
    reducing_gap: SupportsFloat | None = None,
    *,
    alpha: bool | None = None,
    backend: Backend | None = None,
) -> Array:
    """Resize an image, as ``PIL.Image.Image.resize`` does.

    Parameters
    ----------
    image : PIL.Image.Image, or array of shape (H, W) or (H, W, C)
        An image of mode 1, P, L, LA, La, RGB, RGBA, RGBa, RGBX, CMYK, YCbCr, HSV, LAB, I, F or I;16; or an array of
        bool, uint8, int32, float32 or uint16, the types of these modes, with any number of channels.
    size : sequence of 2 int
        New (width, height).
    resample : Resampling, optional
        The filter; `BICUBIC` by default. Modes 1 and P, and bool, always use `NEAREST`.
    box : sequence of 4 float, optional
        The part to resize: (left, upper, right, lower), inside the image.
    reducing_gap : float, optional
        If given, the image is first reduced by whole factors, to no less than `reducing_gap` times `size`; at least 1.
    alpha : bool, optional
        For arrays: whether the last channel is alpha. The others are then multiplied by it before, and divided by it
        after resizing, except with `NEAREST`. Default: True for uint8 with 2 or 4 channels, which Pillow takes for LA
        or RGBA. For CMYK, give ``alpha=False``. An image object has a mode instead.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    PIL.Image.Image or array
        An image object of the mode of `image`, or an array of the type, dtype and device of `image`.

    Raises
    ------
    ValueError
        If the filter or mode is unknown, the size is empty, or the box extends beyond the image.
    TypeError
        If an array has an unsupported type or dtype, or an argument has a wrong type.
    BackendUnavailableError
        If the backend cannot run on this machine.

    Notes
    -----
    Integers are rounded after each of two passes; a pass whose axis does not change is left out. The horizontal pass
    comes first, unless the vertical one drops more than twice as many rows as it drops columns. Sums of types other
    than uint8 are formed in float64. Results of mode I saturate at the limits of int32, while Pillow's overflow.

    Examples
    --------
    >>> import numpy as np
    >>> resize(np.array([[0, 100]], np.uint8), (4, 1))
    array([[  0,  21,  79, 109]], dtype=uint8)
    >>> resize(np.array([[[9, 255], [200, 0]]], np.uint8), (4, 1), BILINEAR)[0].tolist()  # the 200 is transparent
    [[9, 255], [9, 191], [7, 64], [0, 0]]
    """
    n_out, kind = _pair("size", size), _filter(resample)
    gap = None if reducing_gap is None else as_number("reducing_gap", reducing_gap)
    if gap is not None and gap < 1:
        raise ValueError(f"reducing_gap must be 1.0 or greater, got {reducing_gap!r}")

    def function(x: Any, is_alpha: bool, palette: bool) -> Any:
        part = _box(box, (x.shape[1], x.shape[0]), as_number)
        return _resized(x, is_alpha, n_out, NEAREST if palette else kind, part, gap, backend)

    result: Array = _on_arrays(function, image, alpha)
    return result


def reduce(
    image: Array,
    factor: Integers,
    box: Part | None = None,
    *,
    alpha: bool | None = None,
    backend: Backend | None = None,
) -> Array:
    """Reduce an image by whole factors, as ``PIL.Image.Image.reduce`` does: every block becomes its mean.

    Parameters
    ----------
    image : PIL.Image.Image, or array of shape (H, W) or (H, W, C)
        As in `resize`, except modes 1, P and I;16, and the dtypes bool and uint16.
    factor : int or sequence of 2 int
        Width and height of a block. Blocks at the right and lower edge may be smaller.
    box : sequence of 4 int, optional
        The part to reduce: (left, upper, right, lower), inside the image.
    alpha, backend
        As in `resize`.

    Returns
    -------
    PIL.Image.Image or array
        An image object of the mode of `image`, or an array of the type, dtype and device of `image`.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Examples
    --------
    >>> import numpy as np
    >>> reduce(np.arange(15, dtype=np.uint8).reshape(3, 5), 2)
    array([[ 3,  5,  7],
           [11, 13, 14]], dtype=uint8)
    """
    width, height = integers("factor", plain(factor), 2, least=1)
    blocks = width, height
    if blocks[0] * blocks[1] > _LARGEST_BLOCK:
        raise ValueError(f"factor must give blocks of at most {_LARGEST_BLOCK} pixels, got {factor!r}")

    def function(x: Any, is_alpha: bool, palette: bool) -> Any:
        part = _box(box, (x.shape[1], x.shape[0]), as_integer)
        if part[0] == part[2] or part[1] == part[3]:
            raise ValueError(f"box must not be empty, got {box!r}")
        if palette and blocks != (1, 1):
            raise ValueError("an image of mode 'P' cannot be reduced")
        return _reduced(x, is_alpha, blocks, part, backend)

    result: Array = _on_arrays(function, image, alpha)
    return result


def thumbnail(
    image: Array,
    size: Sequence[SupportsFloat] | NDArray[Any],
    resample: int | None = BICUBIC,
    reducing_gap: SupportsFloat | None = 2.0,
    *,
    alpha: bool | None = None,
    backend: Backend | None = None,
) -> Array:
    """Shrink an image to fit into a size, with its proportions, as ``PIL.Image.Image.thumbnail`` does.

    Parameters
    ----------
    image, resample, reducing_gap, alpha, backend
        As in `resize`.
    size : sequence of 2 float
        The largest (width, height).

    Returns
    -------
    PIL.Image.Image or array
        A new image or array, while Pillow changes the image itself; a copy if it already fits. Pillow may let the
        decoder of a JPEG file shrink the image while loading it; this does not happen here.

    Raises
    ------
    ValueError, TypeError, BackendUnavailableError
        As in `resize`.

    Examples
    --------
    >>> import numpy as np
    >>> thumbnail(np.zeros((60, 90, 3), np.uint8), (32, 32)).shape
    (21, 32, 3)
    """
    numbers, wrong = plain(size), f"size must be two numbers of at least 1, (width, height); got {size!r}"
    if not isinstance(numbers, tuple) or len(numbers) != 2:
        raise TypeError(wrong)
    most = tuple(math.floor(as_number("size", n)) for n in numbers)
    if min(most) < 1:
        raise ValueError(wrong)
    given: Any = image
    if not _is_image(image):
        held = kind_of("image", image)
        _check(held.shape, held.dtype)
    width, height = given.size if _is_image(image) else held.shape[1::-1]
    fitting = _fitting((most[0], most[1]), (width, height))
    return resize(image, fitting, resample, None, reducing_gap, alpha=alpha, backend=backend)


def _fitting(most: Size, old: Size) -> Size:
    """Return the size within `most` that is nearest to the proportions of `old`; it only shrinks."""
    (x, y), (width, height) = most, old
    if x >= width and y >= height:
        return old
    aspect = width / height

    def nearest(number: float, miss: Callable[[int], float]) -> int:
        return max(min(math.floor(number), math.ceil(number), key=miss), 1)

    if x / y >= aspect:
        return nearest(y * aspect, lambda n: abs(aspect - n / y)), y
    return x, nearest(x / aspect, lambda n: abs(aspect - x / n) if n else 0)
