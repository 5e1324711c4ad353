"""OpenCV's resize, under its name and with its numerics: ``from gpu_upsample.compat import opencv as cv2``.

The numerics are those of opencv-python 5.0.0.93 on x86-64. It uses Intel's IPP for ``INTER_LINEAR`` and ``INTER_CUBIC``
of most dtypes with 1, 3 or 4 channels.
"""

from __future__ import annotations

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
from gpu_upsample.typing import Array, Backend, Shape

__all__ = [
    "INTER_AREA", "INTER_CUBIC", "INTER_LANCZOS4", "INTER_LINEAR", "INTER_LINEAR_EXACT", "INTER_NEAREST",
    "INTER_NEAREST_EXACT", "resize",
]  # fmt: skip

_cached_resize = cached(plan_resize)


def resize(
    src: Array,
    dsize: Shape | None,
    dst: Array | None = None,
    fx: float = 0,
    fy: float = 0,
    interpolation: int = INTER_LINEAR,
    *,
    backend: Backend | None = None,
) -> Array:
    """Resize an image, as ``cv2.resize`` of OpenCV 5.0 does.

    Parameters
    ----------
    src : array, shape (H, W) or (H, W, C)
        uint8, uint16, int16, float32 or float64; also int8 and int32 with ``INTER_LINEAR_EXACT``, and any dtype with
        ``INTER_NEAREST`` and ``INTER_NEAREST_EXACT``, or where the size does not change. Any number of channels.
    dsize : sequence of 2 int, or None
        New (width, height). If it is None, or one of the two is not positive, `fx` and `fy` determine the size.
    dst : array, optional
        Array for the result, with the type and dtype of `src` and the result's shape; must not overlap `src`.
    fx, fy : float
        Scale factors of width and height. The new size is ``W * fx`` and ``H * fy``, rounded to nearest, ties to even.
        Unused if `dsize` is given.
    interpolation : int
        ``INTER_NEAREST``, ``INTER_LINEAR``, ``INTER_CUBIC`` (coefficient -0.75), ``INTER_AREA``, ``INTER_LANCZOS4``,
        ``INTER_LINEAR_EXACT`` or ``INTER_NEAREST_EXACT``. Only ``INTER_AREA`` widens its filter when an image shrinks.
    backend : {"auto", "cpu", "cuda"}, optional
        As in `gpu_upsample.interpolate`.

    Returns
    -------
    array, shape (new height, new width) or (new height, new width, C)
        Same array type, dtype and device as `src`; `dst` itself, if it was given. As in OpenCV, a channel axis of
        length 1 is dropped.

    Raises
    ------
    ValueError
        If a shape, size, factor or interpolation is not accepted, or `dst` has the wrong shape.
    TypeError
        If an array has an unsupported type, or a dtype that the interpolation does not accept.
    BackendUnavailableError
        If the backend cannot run on this machine.

    Notes
    -----
    These equal OpenCV bit for bit: ``INTER_NEAREST`` and ``INTER_NEAREST_EXACT`` for all dtypes (but OpenCV 5 narrows
    integers of 64 bits to 32, which are kept here); ``INTER_LINEAR`` and
    ``INTER_LANCZOS4`` for uint8; for uint8, uint16 and int16 ``INTER_LINEAR_EXACT`` (also for int8) and ``INTER_AREA``
    when shrinking by blocks of up to 256 pixels. The exceptions are blocks at the end of an image that `fx` and `fy`
    cut through; OpenCV rounds those of float64 to float32.

    Other integer results differ rarely, and by at most 1: ``INTER_CUBIC`` for uint8, sums of uint16 and int16, and
    ``INTER_LINEAR_EXACT`` for int32. ``tests/test_compat_opencv.py`` counts how often on photographs. Results in
    float32 and float64 are within 4 units in the last place of the largest sample. For float64 with 1, 3 or 4 channels,
    whose linear coordinates IPP rounds in its own way, they are within 256 units on axes of up to 64 samples. IPP adds
    a multiple of the difference of two samples; next to an infinity, or where the difference overflows, OpenCV returns
    NaN or infinities that do not appear here.

    Some calls for which OpenCV raises, for reasons other than its numerics, work here: ``INTER_AREA`` with more than 4
    channels, and ``INTER_LINEAR_EXACT`` for int8 and int32 at exactly half the size. As in OpenCV, ``INTER_LINEAR`` at
    exactly half the size is ``INTER_AREA``, except where IPP computes it.

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
    result: Array = apply(_cached_resize, (dsize, fx, fy, interpolation), {"src": src}, dst, backend, "dst")
    return result
