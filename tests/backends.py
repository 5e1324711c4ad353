"""The backends under test: NumPy arrays in, NumPy arrays out."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import gpu_upsample as gu


class CPU:
    """The CPU backend: every public operator as a method."""

    name = "cpu"
    marks: tuple[Any, ...] = ()

    def __getattr__(self, operator: str) -> Any:
        return partial(getattr(gu, operator), backend=self.name)


class CUDA(CPU):
    """The CUDA backend on a device; the arrays go there and come back."""

    name = "cuda"
    marks: tuple[Any, ...] = (pytest.mark.gpu,)


BACKENDS: tuple[type[Any], ...] = (CPU, CUDA)
"""One class per backend: its `name`, the pytest `marks` of its tests, and the operators."""
