"""The decorator of a CPU kernel: compiled by Numba when it is first called, kept on disk, and loaded from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys


class _Cache(FunctionCache):
    """Numba's memory on disk, from which a kernel is loaded without what only a compiler needs.

    Numba's own loads all that it can compile before, with SciPy: half of the time to the first result of a process.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)  # what machine code calls
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def compiled(function: Callable[..., Any]) -> Any:
    """Return a function as a kernel that needs no GIL and divides as NumPy does."""
    kernel: Any = njit(nogil=True, error_model="numpy")(function)
    kernel._cache = _Cache(function)  # what `cache=True` sets to Numba's own
    return kernel
