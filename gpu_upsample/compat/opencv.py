"""OpenCV's resize, under its name and with its numerics: ``from gpu_upsample.compat import opencv as cv2``.

The numerics are those of opencv-python 5.0.0.93 on x86-64, which leaves most dtypes of 1, 3 or 4 channels to Intel's
IPP in ``INTER_LINEAR`` and ``INTER_CUBIC``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpu_upsample.call import apply
from gpu_upsample.compat.opencv_plan import (
    INTER_AREA,
    INTER_CUBIC,
    INTER_LANCZOS4,
    INTER_LINEAR,
    INTER_LINEAR_EXACT,
    INTER_NEAREST,
    INTER_NEAREST_EXACT,
    plan_resize,
)
from gpu_upsample.plan.cache import cached

__all__ = [
    "INTER_AREA", "INTER_CUBIC", "INTER_LANCZOS4", "INTER_LINEAR", "INTER_LINEAR_EXACT", "INTER_NEAREST",
    "INTER_NEAREST_EXACT", "resize",
]  # fmt: skip

_cached_resize = cached(plan_resize)


def resize(
    src: Any,
    dsize: Sequence[int] | None,
    dst: Any = None,
    fx: float = 0,
    fy: float = 0,
    interpolation: int = INTER_LINEAR,
    *,
    backend: str | None = None,
) -> Any:
    """Resize an image, as ``cv2.resize`` of OpenCV 5.0 does.

    Parameters
    ----------
    src : array, shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64; also int8 and int32 with ``INTER_LINEAR_EXACT``, and any dtype with
        ``INTER_NEAREST`` and ``INTER_NEAREST_EXACT``, or where the size does not change. Any number of channels.
    dsize : sequence of 2 int, or None
        New width and height. Where it is None or one of the two is not positive, `fx` and `fy` decide.
    dst : array, optional
        Where the result goes: of the kind and dtype of `src` and the right shape, not overlapping `src`.
    fx, fy : float
        New samples per old one along the width and the height; the new size is ``H * fy`` and ``W * fx``, ties
        rounded to even. Unused where `dsize` is given.
    interpolation : int
        ``INTER_NEAREST``, ``INTER_LINEAR``, ``INTER_CUBIC`` (coefficient -0.75), ``INTER_AREA``, ``INTER_LANCZOS4``,
        ``INTER_LINEAR_EXACT`` or ``INTER_NEAREST_EXACT``. None of them but ``INTER_AREA`` widens its filter when an
        image shrinks.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array, shape (new height, new width) or (new height, new width, C)
        Of the kind, dtype and place of `src`. As in OpenCV an axis of one channel is left out. `dst`, if it was given.

    Raises
    ------
    ValueError
        For a shape, size, factor or interpolation that is not accepted, or a `dst` of the wrong shape.
    TypeError
        For a bad kind of array, or a dtype that the interpolation does not take.

    Notes
    -----
    Equal to OpenCV bit for bit are ``INTER_NEAREST`` and ``INTER_NEAREST_EXACT``; of uint8 ``INTER_LINEAR`` and
    ``INTER_LANCZOS4``; of uint8, uint16 and int16 ``INTER_LINEAR_EXACT`` (also of int8) and ``INTER_AREA`` where it
    shrinks, for blocks of up to 256 pixels. An exception are pixels at the end of an image that `fx` and `fy` halve
    and cut through.

    Other results on integers are at most 1 off, and seldom: ``INTER_CUBIC`` of uint8, sums of uint16 and int16, and
    ``INTER_LINEAR_EXACT`` of int32. ``tests/test_compat_opencv.py`` counts how often on photographs. Results in float32
    and float64 are within 4 units in the last place of the largest sample; but of float64 with 1, 3 or 4 channels,
    whose linear coordinates IPP rounds in its own way, within 256 units on axes of up to 64 samples. IPP adds a
    multiple of the difference of two samples, so beside an infinity, or where the difference overflows, OpenCV returns
    NaN or infinities that are not there here.

    Where OpenCV raises for no reason of its numerics, this does not: ``INTER_AREA`` of more than 4 channels, and
    ``INTER_LINEAR_EXACT`` of int8 and int32 at exactly half the size. Like OpenCV, ``INTER_LINEAR`` at exactly half
    the size is ``INTER_AREA``, but for what IPP does.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.array([[0, 100], [200, 255]], np.uint8)
    >>> resize(image, (4, 2))
    array([[  0,  25,  75, 100],
           [200, 214, 241, 255]], dtype=uint8)
    >>> resize(image, None, fx=0.5, fy=0.5, interpolation=INTER_AREA)
    array([[139]], dtype=uint8)
    """
    return apply(_cached_resize, (dsize, fx, fy, interpolation), {"src": src}, dst, backend, "dst")
