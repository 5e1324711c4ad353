"""Arrays between pages of memory that may not be touched: whoever reads beyond them ends the process."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np


def fenced(array: Any, at_end: bool) -> Any:
    """Return a copy of an array that ends, or begins, where a page lies that cannot be read; on POSIX systems."""
    page = mmap.PAGESIZE
    size = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, size + 2 * page)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for fence in (address, address + page + size):
        if protect(fence, page, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    begin = page + (size - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, begin).reshape(array.shape)
    copy[...] = array
    return copy
