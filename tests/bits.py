"""Calls whose results have the same bits on every machine: those in data/bits.json.

``python -m tests.bits`` writes the file anew, after a change that is meant to change them; with names of calls, it
prints theirs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gpu_upsample as gu
from gpu_upsample.compat import jax, keras, onnx, opencv, paddle, pillow, scipy, tensorflow, torch_uint8
from tests.cases import CASES, COMPLEX, DTYPES, FLOATS, INTEGERS, dtype_of

FILE = Path(__file__).parent / "data" / "bits.json"

# What Numba takes for a processor with AVX2 and no more.
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+popcnt,+sse4.2,+ssse3",
}

Call = Callable[[], Any]
"""Runs on the backend in use."""


def whole(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return noise that has the same bits everywhere: normal numbers come from a logarithm, which has not."""
    random = np.random.default_rng(0)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        return random.integers(info.min, info.max, shape, dtype, endpoint=True)
    parts = random.integers(-(2**20), 2**20, (*shape, 2)) / 2**19
    if dtype in COMPLEX:
        return parts.view(np.complex128)[..., 0].astype(dtype)
    return (parts[..., 0] > 0) if dtype == "bool" else parts[..., 0].astype(dtype_of(dtype))


def _resampling() -> Iterator[tuple[str, Call]]:
    for case in CASES:
        rank = 2 if 2 in case.ranks else case.ranks[0]
        n, m = (13, 29, 11)[:rank], (21, 17, 24)[:rank]
        x = whole(case.shape(n), "float64")
        yield case.name, partial(case.call, gu, x, m)
        if not case.selects:
            grad = whole(case.shape(m), "float64")
            yield f"{case.name}-backward", partial(case.backward, gu, grad, x.shape, m)
    for dtype in DTYPES:
        for antialias in (False, True):
            how = {"size": (21, 17), "mode": "lanczos", "antialias": antialias}
            yield f"lanczos-{antialias}-{dtype}", partial(gu.interpolate, whole((1, 3, 13, 29), dtype), **how)
    for order in (2, 3, 4, 5):
        yield f"spline{order}", partial(gu.resize, whole((13, 29), "float64"), (21, 17), method=f"spline{order}")


def _unpooled(x: NDArray[Any]) -> Any:
    return gu.max_unpool2d(*gu.max_pool2d(x, 2, return_indices=True), 2)


def _folded(x: NDArray[Any]) -> Any:
    return gu.fold(gu.unfold(x, 3), x.shape[2:], 3)


def _others() -> Iterator[tuple[str, Call]]:
    for dtype in ("uint8", "int64", *FLOATS):
        x = whole((2, 8, 12, 10), dtype)
        yield f"max_pool2d-{dtype}", partial(gu.max_pool2d, x, 3, 2, return_indices=True)
        yield f"max_unpool2d-{dtype}", partial(_unpooled, x)
        yield f"pixel_shuffle-{dtype}", partial(gu.pixel_shuffle, x, 2)
        yield f"pixel_unshuffle-{dtype}", partial(gu.pixel_unshuffle, x, 2)
    for dtype in (*FLOATS, *COMPLEX):
        x = whole((2, 8, 12, 10), dtype)
        yield f"fold-{dtype}", partial(_folded, x)
        for name, groups, channels in (("full", 1, 6), ("depthwise", 8, 1)):
            weight = whole((8, channels, 4, 4), dtype)
            how: dict[str, Any] = {"stride": 2, "padding": 1, "groups": groups, "deterministic": True}
            grad = whole((2, channels * groups, 24, 20), dtype)
            yield f"conv_transpose2d-{name}-{dtype}", partial(gu.conv_transpose2d, x, weight, **how)
            yield (
                f"conv_transpose2d-{name}-{dtype}-backward",
                partial(gu.conv_transpose2d_backward, grad, x, weight, **how),
            )
    # A weight whose taps lie so near that they are collected together.
    x, weight = whole((1, 20, 5, 9), "float32"), whole((20, 40, 3, 3), "float32")
    yield "conv_transpose2d-collected", partial(gu.conv_transpose2d, x, weight, stride=2)


def _dialects() -> Iterator[tuple[str, Call]]:
    photo, image = whole((13, 29, 3), "uint8"), whole((13, 29, 3), "float32")
    up, down = (21, 37), (8, 17)
    for size in (up, down):
        turned = size[::-1]
        for resampling in pillow.Resampling:
            yield f"pillow-{resampling.name}-{size}", partial(pillow.resize, photo, turned, resampling)
        for name in opencv.__all__:
            if name.startswith("INTER"):
                flag = getattr(opencv, name)
                for x in (photo, image):
                    yield f"opencv-{name}-{size}-{x.dtype}", partial(opencv.resize, x, turned, interpolation=flag)
        for mode in ("bilinear", "bicubic", "lanczos"):
            batch = np.ascontiguousarray(photo.transpose(2, 0, 1)[None])
            how: dict[str, Any] = {"size": size, "mode": mode, "antialias": True}
            yield f"torch_uint8-{mode}-{size}", partial(torch_uint8.interpolate, batch, **how)
        for mode in ("nearest", "linear", "cubic"):
            yield f"onnx-{mode}-{size}", partial(onnx.resize, image, sizes=size, axes=[0, 1], mode=mode)
        for method in ("nearest", "linear", "cubic", "lanczos3", "lanczos5"):
            yield f"jax-{method}-{size}", partial(jax.image.resize, image, (*size, 3), method)
        for method in ("bilinear", "lanczos3", "lanczos5", "bicubic", "gaussian", "nearest", "area", "mitchellcubic"):
            yield f"tensorflow-{method}-{size}", partial(tensorflow.image.resize, image, size, method, antialias=True)
        for mode in ("nearest", "bilinear", "bicubic", "area"):
            batch = image.transpose(2, 0, 1)[None]
            yield f"paddle-{mode}-{size}", partial(paddle.interpolate, batch, size=size, mode=mode)
        for order in range(6):
            factors = (size[0] / 13, size[1] / 29, 1)
            yield f"scipy-{order}-{size}", partial(scipy.ndimage.zoom, image, factors, order=order)
    for interpolation in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
        layer = keras.UpSampling2D((2, 3), data_format="channels_last", interpolation=interpolation)
        yield f"keras-{interpolation}", partial(layer, image[None])


CALLS: dict[str, Call] = {name: call for calls in (_resampling, _others, _dialects) for name, call in calls()}


def digest(call: Call) -> str:
    """Return a fingerprint of what a call gives."""
    results = call()
    found = sha256()
    for array in results if isinstance(results, tuple) else (results,):
        if array is not None:
            found.update(f"{array.shape} {array.dtype}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


if __name__ == "__main__":
    digests = {name: digest(CALLS[name]) for name in sys.argv[1:] or CALLS}
    if sys.argv[1:]:
        print(json.dumps(digests))
    else:
        FILE.write_text(json.dumps(digests, indent=0) + "\n")
