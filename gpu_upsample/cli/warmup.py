"""Compiling ahead: the calls that programs usually make, on small arrays.

A kernel is compiled for a dtype, an order of axes, a ratio and a length of windows. So the calls below differ in these,
and but for one of them in nothing else. They call the public functions, whatever kernels these run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import gpu_upsample as gu
from gpu_upsample.typing import Backend, DataFormat, Mode

Arrays = Callable[..., Any]
"""The lengths of the axes -> an array."""

_LAYOUTS: dict[DataFormat, tuple[tuple[int, ...], ...]] = {
    "channels_first": ((1, 3, 48, 40),),
    # Pixels, and features whose channels fill one vector register or several.
    "channels_last": ((1, 48, 40, 3), (1, 48, 40, 16), (1, 48, 40, 64)),
}

# Of transposed convolution, which sums over channels.
_FEATURES: dict[DataFormat, tuple[int, ...]] = {"channels_first": (16, 12, 12), "channels_last": (12, 12, 16)}
# Of pooling: lengths, strides and padding.
_WINDOWS = (2, 2, 0), (3, 2, 1)
_CORNERS = np.arange(24 * 24).reshape(1, 1, 24, 24)[..., ::2, ::2].copy()
_FACTORS = (2, 1.37, 0.8, 0.61, 0.5, 0.37, 0.25, 0.2, 0.1)
"""Enlarging and shrinking: with antialiasing, each has windows of another length."""


def _interpolate(array: Arrays, mode: Mode, antialias: bool = False) -> None:
    for data_format, shapes in _LAYOUTS.items():
        for shape in shapes:
            for factor in _FACTORS:
                gu.interpolate(
                    array(*shape), scale_factor=factor, mode=mode, antialias=antialias, data_format=data_format
                )


def _nearest(array: Arrays) -> None:
    _interpolate(array, "nearest")
    gu.interpolate(array(1, 1, 1024, 1024), scale_factor=2)  # large enough for several threads


def _linear(array: Arrays) -> None:
    _interpolate(array, "bilinear")
    gu.interpolate(array(1, 3, 8, 24, 24), scale_factor=2, mode="trilinear")


def _cubic(array: Arrays) -> None:
    _interpolate(array, "bicubic")


def _area(array: Arrays) -> None:
    _interpolate(array, "area")


def _antialias(array: Arrays) -> None:
    modes: tuple[Mode, ...] = ("bilinear", "bicubic", "lanczos")
    for mode in modes:
        _interpolate(array, mode, antialias=True)


def _max_pool(array: Arrays) -> None:
    for indices in (False, True):
        for windows in _WINDOWS:
            gu.max_pool2d(array(1, 3, 24, 24), *windows, return_indices=indices)


def _max_unpool(array: Arrays) -> None:
    gu.max_unpool2d(array(1, 1, 12, 12), _CORNERS, 2)


def _conv_transpose(array: Arrays) -> None:
    for layout, axes in _FEATURES.items():
        for bias in (None, array(16)):
            for kernel, padding in ((2, 0), (4, 1)):
                gu.conv_transpose2d(
                    array(1, *axes), array(16, 16, kernel, kernel), bias, 2, padding, data_format=layout
                )
            gu.conv_transpose2d(array(1, *axes), array(16, 1, 4, 4), bias, 2, 1, groups=16, data_format=layout)
    gu.conv_transpose1d(array(1, 16, 12), array(16, 16, 16), array(16), 8, 4)
    gu.conv_transpose3d(array(1, 16, 6, 6, 6), array(16, 16, 2, 2, 2), array(16), 2)


def _pixel_shuffle(array: Arrays) -> None:
    gu.pixel_unshuffle(gu.pixel_shuffle(array(1, 36, 12, 12), 2), 2)
    gu.pixel_shuffle(array(1, 36, 12, 12), 3)


def _unfold(array: Arrays) -> None:
    for kernel, padding, stride in ((3, 1, 1), (2, 0, 2)):
        gu.fold(gu.unfold(array(1, 4, 12, 12), kernel, 1, padding, stride), (12, 12), kernel, 1, padding, stride)


def _gradients(array: Arrays) -> None:
    """Call forwards and backwards, as training does."""
    modes: tuple[Mode, ...] = ("nearest", "bilinear", "bicubic")
    for layout, shapes in _LAYOUTS.items():
        for shape, mode in product(shapes, modes):
            y = gu.interpolate(array(*shape), scale_factor=2, mode=mode, data_format=layout)
            gu.interpolate_backward(y, shape, scale_factor=2, mode=mode, data_format=layout)
    volume = (1, 3, 8, 24, 24)
    y = gu.interpolate(array(*volume), scale_factor=2, mode="trilinear")
    gu.interpolate_backward(y, volume, scale_factor=2, mode="trilinear")
    for windows in _WINDOWS:
        y, indices = gu.max_pool2d(array(1, 3, 24, 24), *windows, return_indices=True)
        gu.max_pool2d_backward(y, indices, (1, 3, 24, 24), *windows)
    y = gu.max_unpool2d(array(1, 1, 12, 12), _CORNERS, 2)
    gu.max_unpool2d_backward(y, _CORNERS, (1, 1, 12, 12))
    for layout, axes in _FEATURES.items():
        for kernel, padding, groups in ((2, 0, 1), (4, 1, 1), (4, 1, 16)):
            x, weight = array(1, *axes), array(16, 16 // groups, kernel, kernel)
            y = gu.conv_transpose2d(x, weight, array(16), 2, padding, groups=groups, data_format=layout)
            gu.conv_transpose2d_backward(y, x, weight, 2, padding, groups=groups, data_format=layout)


OPERATORS: Mapping[str, Callable[[Arrays], None]] = {
    "nearest": _nearest,
    "linear": _linear,
    "cubic": _cubic,
    "area": _area,
    "antialias": _antialias,
    "max_pool": _max_pool,
    "max_unpool": _max_unpool,
    "conv_transpose": _conv_transpose,
    "pixel_shuffle": _pixel_shuffle,
    "unfold": _unfold,
    "gradients": _gradients,
}
"""What can be compiled ahead -> the calls, given a source of arrays."""


def warm_up(operator: str, dtype: str, backend: Backend) -> bool:
    """Compile what usual calls of an operator need, or load it where it was compiled before.

    Parameters
    ----------
    operator : str
        A key of `OPERATORS`.
    dtype : str
        Name of the dtype of the arrays.
    backend : {"cpu", "cuda"}
        Where the calls run.

    Returns
    -------
    bool
        Whether the operator takes arrays of this dtype.

    Raises
    ------
    BackendUnavailableError
        If the backend cannot run here.

    Examples
    --------
    >>> warm_up("pixel_shuffle", "uint8", "cpu")
    True
    >>> warm_up("conv_transpose", "uint8", "cpu")
    False
    """
    scalar = import_module("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype

    try:
        with gu.use_backend(backend):
            OPERATORS[operator](lambda *shape: np.ones(shape, scalar))
    except TypeError:
        return False
    return True


def cache_folder(backend: str) -> Path:
    """Return where a backend keeps what it compiled.

    Examples
    --------
    >>> cache_folder("cpu").is_absolute()
    True
    """
    if backend == "cuda":
        from gpu_upsample.cuda.compile import cache_directory

        return cache_directory()
    from numba.core.caching import FunctionCache

    from gpu_upsample.cpu import require

    # Numba decides by the folder of a function's source, so that any function of the backend will do.
    cache: Any = FunctionCache
    return Path(cache(require).cache_path)
