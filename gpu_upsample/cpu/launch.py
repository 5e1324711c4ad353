"""A kernel with those of its arguments that stay the same from call to call."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpu_upsample.cpu.arguments import Words, type_of
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.threads import run_in_parts


class Packed(NamedTuple):
    """What native code calls.

    Attributes
    ----------
    function : int
        Address of a kernel.
    words : ndarray of int64
        Its arguments.
    room : int
        Bytes of memory that a thread needs for itself.
    """

    function: int
    words: Any
    room: int


class Launch:
    """A kernel whose last arguments are packed once, and the others for each call.

    Parameters
    ----------
    kernel : Kernel
        The kernel.
    same : tuple
        What stays the same: contiguous arrays, `Room`, `Tables`, integers, scalars of NumPy's, and tuples of such.
    """

    def __init__(self, kernel: Kernel, *same: Any) -> None:
        packed = Words()
        self._kernel = kernel
        self._same = same  # of whose arrays the words hold addresses alone
        self._kinds = tuple(map(packed.add, same))
        self._words, self._room = packed.words, packed.room
        self._made: dict[Any, tuple[int, Any]] = {}

    def pack(self, *others: Any) -> Packed:
        """Return the kernel with all of its arguments, the others first; of these, the caller keeps the arrays."""
        packed = Words(self._room)
        kinds = tuple(map(packed.add, others))
        if kinds not in self._made:
            blank = np.array([0] * len(packed.words) + self._words, np.int64)
            self._made[kinds] = self._kernel.address(type_of(kinds + self._kinds)), blank
        function, blank = self._made[kinds]
        words = blank.copy()
        words[: len(packed.words)] = packed.words
        return Packed(function, words, packed.room)

    def run(self, others: tuple[Any, ...], rows: int, size: int, least: int) -> None:
        """Do all rows of a work, given what changes from call to call.

        Parameters
        ----------
        others : tuple
            The first arguments of the kernel.
        rows, size, least : int
            As for `run_in_parts`.
        """
        run_in_parts(*self.pack(*others), rows, size, least)
