"""Keeps Python from looking for garbage while a kernel is compiled.

A compiler makes objects by the million, all of them in use until it is done. Python would look through them, and
through all that the process holds besides, again and again, and find next to nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_compiling = 0
_was_enabled = False


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage in a ``with`` block, in any thread; objects that nobody refers to are freed all the same.

    Examples
    --------
    >>> with uncollected():
    ...     gc.isenabled()
    False
    >>> gc.isenabled()
    True
    """
    global _compiling, _was_enabled
    with _lock:
        if not _compiling:
            _was_enabled = gc.isenabled()
            gc.disable()
        _compiling += 1
    try:
        yield
    finally:
        with _lock:
            _compiling -= 1
            if _was_enabled and not _compiling:
                gc.enable()
