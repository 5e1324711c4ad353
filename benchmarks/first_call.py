"""What a program waits for once: the import, and the first result of an operator, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, Measured

_ROOT = Path(__file__).resolve().parent.parent
_IMPORTS, _WARM = 11, 3  # how often each is measured

_IMPORT = """
import time, numpy
start = time.perf_counter()
from gpu_upsample import interpolate
print(time.perf_counter() - start)
"""

# Prints the time since the process was started, whose moment is the argument.
_FIRST = """
import sys, time
import numpy as np, gpu_upsample as gu
x = np.ones((1, 16, 64, 64), np.float32)
picture = np.ones((64, 64, 3), np.uint8)
weight = np.ones((16, 16, 4, 4), np.float32)
{call}
print(time.time() - float(sys.argv[1]))
"""

_CALLS: Mapping[str, str] = {
    "nearest": "gu.interpolate(x, scale_factor=2)",
    "bilinear": "gu.interpolate(x, scale_factor=2, mode='bilinear')",
    "bicubic": "gu.interpolate(x, scale_factor=2, mode='bicubic')",
    "bicubic at 1.37": "gu.interpolate(x, scale_factor=1.37, mode='bicubic')",
    "bytes, lanczos3, antialias": "gu.resize(picture, (20, 20), method='lanczos3', antialias=True)",
    "bilinear gradient": "gu.interpolate_backward(x, (1, 16, 32, 32), 64, mode='bilinear')",
    "max_pool2d": "gu.max_pool2d(x, 2, return_indices=True)",
    "conv_transpose2d": "gu.conv_transpose2d(x, weight, None, 2, 1)",
    "depthwise conv_transpose2d": "gu.conv_transpose2d(x, weight[:, :1], None, 2, 1, groups=16)",
    "conv_transpose2d gradients": "gu.conv_transpose2d_backward(x, x[..., :32, :32], weight, 2, 1)",
    "pixel_shuffle": "gu.pixel_shuffle(x, 2)",
}
"""Operator -> a call of it; among them those that take longest to compile."""

# As by default: a module's bytecode is kept beside it.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

_QUICK_CALLS = ("pixel_shuffle",)


def _printed(code: str, *arguments: str, **environment: str) -> float:
    """Return the number that code prints in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=_ENVIRONMENT | environment, cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def _import(quick: bool) -> Measured:
    """Return the milliseconds that the import takes once NumPy is there."""
    times = [1e3 * _printed(_IMPORT) for _ in range(1 if quick else _IMPORTS)]
    return median(times), {"fastest": min(times), "slowest": max(times)}


@cache
def _first_results(place: str, quick: bool) -> dict[str, tuple[float, float]]:
    """Return for each operator the seconds to its first result, with nothing on disk and with its kernels there."""
    found = {}
    for name in _QUICK_CALLS if quick else _CALLS:
        with tempfile.TemporaryDirectory() as folder:
            caches = {"NUMBA_CACHE_DIR": folder, "GPU_UPSAMPLE_CACHE_DIR": folder, "GPU_UPSAMPLE_BACKEND": place}
            code = _FIRST.format(call=_CALLS[name])
            cold, *warm = (_printed(code, str(time.time()), **caches) for _ in range(1 + _WARM))
            found[name] = cold, median(warm)
    return found


def _slowest(place: str, warm: bool, quick: bool) -> Measured:
    times = {name: both[warm] for name, both in _first_results(place, quick).items()}
    return max(times.values()), times


FIGURES: Mapping[str, tuple[Figure, ...]] = {
    "cpu": (
        Figure("import with interpolate, over NumPy", "ms", _import, most=30),
        Figure("first result of a process, kernels on disk", "s", partial(_slowest, "cpu", True), most=1),
        Figure("first result of a process, nothing on disk", "s", partial(_slowest, "cpu", False), most=6),
    ),
    "cuda": (
        Figure("first result of a process, kernels on disk", "s", partial(_slowest, "cuda", True)),
        Figure("first result of a process, nothing on disk", "s", partial(_slowest, "cuda", False)),
    ),
}
"""Backend -> what is waited for; of the results, the slowest operator counts."""
