"""The maps of axes, made once: arrays of many shapes have some of their lengths in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu_upsample.plan.cache import remembered
from gpu_upsample.plan.steps import Index
from gpu_upsample.plan.taps import Taps


@remembered(1024, 1 << 26)  # with what backends make of them, several times as many bytes
def axis_map(build: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function makes of an axis: its taps, or the index that each output selects.

    Function and arguments must be hashable, and equal ones must make the same. The arrays are read-only, since they are
    shared.

    Examples
    --------
    >>> from gpu_upsample.plan.taps import pooling_taps
    >>> axis_map(pooling_taps, 3, 2) is axis_map(pooling_taps, 3, 2)
    True
    """
    mapping: Taps | Index = build(*arguments)
    arrays = (mapping.start, mapping.count, mapping.weight) if isinstance(mapping, Taps) else (mapping,)
    for array in arrays:
        array.flags.writeable = False
    return mapping
