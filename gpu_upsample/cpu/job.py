"""A kernel with all that it takes beside the arrays, and how its result reaches memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gpu_upsample.cpu.arguments import Room, address_of, in_whole_lines
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.launch import Launch, Packed
from gpu_upsample.cpu.rows import STRIP_LINES
from gpu_upsample.cpu.threads import run_in_parts
from gpu_upsample.cpu.vectors import BYTES
from gpu_upsample.plan.steps import FilterStep, SelectStep


def _last_cache() -> int:
    """Return the bytes of the last cache, or a guess where the system does not tell."""
    told = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
    try:
        return int(told.read_text(encoding="ascii").strip().removesuffix("K")) << 10
    except (OSError, ValueError):
        return 1 << 24


_TOLD_BYTES = _last_cache()
# A virtual machine is told of all of a cache that others use, too: no more than this is counted on.
_SHARE_BYTES = 1 << 26
_LAST_CACHE = min(_TOLD_BYTES, _SHARE_BYTES)
# From this many bytes of input and result on, the result goes past the caches, which would not hold both.
_STREAMED_BYTES = min(_TOLD_BYTES // 2, _SHARE_BYTES)
# Shorter rows only if they are whole cache lines: a line of which a part is streamed costs more than it saves.
_LONG_ROW = 1 << 12
# Rows of a result that are formed together, at most.
TOGETHER = 4


class Writing(NamedTuple):
    """How a result is written.

    Attributes
    ----------
    lead : int
        Elements between the start of a cache line and the result.
    streams : bool
        Whether its rows are streamed past the caches.
    collected : int
        How many elements are collected before they are streamed, or 1 if none are.
    """

    lead: int
    streams: bool
    collected: int


STORED = Writing(0, False, 1)

X, OUT, LEAD, COLLECTED = 0, 2, 4, 7
"""Where the words stand that differ from call to call: addresses, each before a length, and what `Writing` says."""


@dataclass(frozen=True, eq=False)
class Job:
    """A kernel with all that it takes beside the arrays: made once per step.

    Parameters
    ----------
    launch : Launch
        Does the units from one up to another. The kernel takes the input, the output, `Writing.lead`,
        `Writing.streams` and room for what is collected first; sizes, tables and other rooms are packed.
    blank : Packed
        What it packs for no arrays.
    rows : int
        How many rows the result has.
    unit : int
        How many of them the kernel does at once.
    least : int
        How many units a thread should do at a time.
    width : int
        Scalars of a row of the result.
    product_bytes : int
        Bytes of all products that are formed. If none are, because the kernel only copies, a result that fits into the
        last cache stays there, if the input is small.
    """

    launch: Launch
    blank: Packed
    rows: int
    unit: int
    least: int
    width: int
    product_bytes: int

    @property
    def units(self) -> int:
        """How many units the rows are."""
        return -(-self.rows // self.unit)

    def writing(self, out: Any, size_in: int) -> Writing:
        """Return how a result is written, if the input has these bytes."""
        left = _LAST_CACHE if not self.product_bytes and size_in < _STREAMED_BYTES else 0
        if size_in + out.nbytes < _STREAMED_BYTES or out.nbytes <= left:
            return STORED
        astray, row, line = address_of(out) % BYTES, self.width * out.itemsize, BYTES // out.itemsize
        lead, rest = divmod(astray, out.itemsize)
        if rest:
            return STORED
        if row >= _LONG_ROW or astray == row % BYTES == 0:
            return Writing(lead, True, 1)
        return Writing(lead, False, STRIP_LINES * line + TOGETHER * (self.width + 4 * line) + line)

    def pack(self, x: Any, out: Any, writing: Writing) -> Packed:
        """Return the kernel with all of its arguments, for flat arrays."""
        function, blank, room = self.blank
        words = blank.copy()
        words[X : LEAD + 2] = address_of(x), x.size, address_of(out), out.size, writing.lead, writing.streams
        words[COLLECTED] = writing.collected
        return Packed(function, words, room + in_whole_lines(writing.collected * out.itemsize))

    def run(self, x: Any, out: Any) -> None:
        """Do all of flat arrays."""
        packed = self.pack(x, out, self.writing(out, x.nbytes))
        run_in_parts(*packed, self.units, cost(self.product_bytes, x, out), self.least)


def prepared(kernel: Kernel, x: Any, out: Any, *same: Any) -> tuple[Launch, Packed]:
    """Return the first two fields of a `Job`: its kernel takes such arrays, and what stays the same."""
    launch = Launch(kernel, *same)
    return launch, launch.pack(np.empty(0, x), np.empty(0, out), 0, False, Room(out, (0,)))


def cost(product_bytes: int, x: Any, out: Any) -> int:
    """Return what some work costs, in bytes that are moved in the same time, within the caches."""
    return max(product_bytes // 4, min(x.nbytes, BYTES * out.size) + out.nbytes)  # a sample is read with its cache line


def sizes(step: FilterStep | SelectStep) -> tuple[int, int, int, int, int]:
    """Return the number of planes, the rows of a plane before and after, and their widths in scalars.

    Where the rows stay as they are, a plane has one.
    """
    planes, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    if step.rows is None:
        planes, rows_in, rows_out = planes * rows_in, 1, 1
    return planes, rows_in, rows_out, columns_in * inner, columns_out * inner
