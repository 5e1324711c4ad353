"""The maps of axes, made once: arrays of many shapes have some of their lengths in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from gpu_upsample.plan.cache import remembered


@remembered(1024, 1 << 26)  # with what backends make of them, several times as many bytes
def once_per_axis(build: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function makes of an axis: its taps, the index that each output selects, or what holds these.

    Function and arguments must be hashable, and equal ones must make the same. The arrays are read-only, since they are
    shared.

    Examples
    --------
    >>> from gpu_upsample.plan.taps import pooling_taps
    >>> once_per_axis(pooling_taps, 3, 2) is once_per_axis(pooling_taps, 3, 2)
    True
    """
    mapping = build(*arguments)
    _freeze(mapping)
    return mapping


def _freeze(value: Any) -> None:
    """Make the arrays of a map read-only."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif is_dataclass(value):
        for field in fields(value):
            _freeze(getattr(value, field.name))
