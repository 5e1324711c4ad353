"""The backends under test: NumPy arrays in, NumPy arrays out."""

from __future__ import annotations

from typing import Any

import pytest

import gpu_upsample as gu


class CPU:
    """The CPU backend."""

    name = "cpu"
    marks: tuple[Any, ...] = ()

    def interpolate(self, x: Any, *args: Any, **options: Any) -> Any:
        return gu.interpolate(x, *args, backend="cpu", **options)

    def resize(self, x: Any, *args: Any, **options: Any) -> Any:
        return gu.resize(x, *args, backend="cpu", **options)


class CUDA:
    """The CUDA backend on a device; the arrays go there and come back."""

    name = "cuda"
    marks: tuple[Any, ...] = (pytest.mark.gpu,)

    def interpolate(self, x: Any, *args: Any, **options: Any) -> Any:
        return gu.interpolate(x, *args, backend="cuda", **options)

    def resize(self, x: Any, *args: Any, **options: Any) -> Any:
        return gu.resize(x, *args, backend="cuda", **options)


BACKENDS: tuple[type[Any], ...] = (CPU, CUDA)
"""One class per backend: its `name`, the pytest `marks` of its tests, and the two operators."""
