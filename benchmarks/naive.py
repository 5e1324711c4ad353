"""The kernel that one writes first: a thread per pixel, which computes its coordinates and weights itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import cuda

_BLOCK = (32, 8, 1)


def bilinear(x: Any, out: Any) -> None:
    """Enlarge planes linearly; both arrays have the axes plane, row, column."""
    column, row, plane = cuda.grid(3)
    if row >= out.shape[1] or column >= out.shape[2]:
        return
    height, width = x.shape[1], x.shape[2]
    v = min(max((row + 0.5) * height / out.shape[1] - 0.5, 0.0), height - 1.0)
    u = min(max((column + 0.5) * width / out.shape[2] - 0.5, 0.0), width - 1.0)
    top, left = int(v), int(u)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = v - top, u - left
    above = (1 - u) * x[plane, top, left] + u * x[plane, top, right]
    below = (1 - u) * x[plane, bottom, left] + u * x[plane, bottom, right]
    out[plane, row, column] = (1 - v) * above + v * below


def launcher(x: Any, out: Any) -> Callable[[], None]:
    """Return a call that enlarges arrays of planes linearly; both are Numba's, on the device."""
    kernel = cuda.jit(bilinear)
    planes, rows, columns = out.shape
    grid = (-(-columns // _BLOCK[0]), -(-rows // _BLOCK[1]), planes)
    return lambda: kernel[grid, _BLOCK](x, out)
