"""Where CUDA kernels run: on the host twin, and on a device. NumPy arrays in, NumPy arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def each(function: Any, results: Any) -> Any:
    """Apply a function to a result, or to every one of several."""
    return tuple(map(function, results)) if isinstance(results, tuple) else function(results)


class Twin:
    """The host twin."""

    name = "twin"
    marks: tuple[Any, ...] = ()

    def __call__(self, operator: Any, *arrays: Any, **options: Any) -> Any:
        from tests import twin

        with self._installed():
            results = operator(*map(twin.to_twin, arrays), **options)

        def checked(result: Any) -> Any:
            assert isinstance(result, twin.TwinArray)
            return np.asarray(result)

        return each(checked, results)

    def _installed(self) -> Any:
        from tests import twin

        return twin.installed()


class PTX(Twin):
    """What the compiler for GPUs makes of the kernels, interpreted."""

    name = "ptx"
    marks: tuple[Any, ...] = (pytest.mark.thorough,)

    def _installed(self) -> Any:
        from tests import ptx

        return ptx.installed()


class Device:
    """A CUDA device; the arrays go there and come back."""

    name = "device"
    marks: tuple[Any, ...] = (pytest.mark.gpu,)

    def __call__(self, operator: Any, *arrays: Any, **options: Any) -> Any:
        return operator(*arrays, backend="cuda", **options)


DEVICES: tuple[type[Any], ...] = (Twin, PTX, Device)
