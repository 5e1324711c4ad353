"""The work of a resampling step, and how its result reaches memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gpu_upsample.cpu.arguments import Given, Room
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.record import ASTRAY, PASSING
from gpu_upsample.cpu.rows import STRIP_LINES
from gpu_upsample.cpu.vectors import BYTES
from gpu_upsample.cpu.work import ROW_BYTES, Work, record_of
from gpu_upsample.plan.steps import FilterStep, SelectStep

_UINT8 = np.dtype(np.uint8)


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


class Lines(NamedTuple):
    """An array as a kernel goes through it.

    Attributes
    ----------
    dtype : dtype
        That of its scalars.
    rows, width : int
        How many rows it has, and scalars of each.
    """

    dtype: np.dtype[Any]
    rows: int
    width: int

    @property
    def size(self) -> int:
        """Number of scalars."""
        return self.rows * self.width

    @property
    def nbytes(self) -> int:
        """Bytes of all of them."""
        return self.size * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Job(Work):
    """A work from one array to another, whose first arguments are these and how the result is written.

    Attributes
    ----------
    out : Lines
        The result.
    unit : int
        How many rows of the result the kernel does at once.
    product_bytes : int
        Bytes of all products that are formed.
    formed : int
        How many rows are formed, those of the result, too.
    """

    out: Lines
    unit: int
    product_bytes: int
    formed: int


def prepared(
    kernel: Kernel,
    same: tuple[Any, ...],
    x: Lines,
    out: Lines,
    *,
    unit: int = 1,
    least: int = 1,
    product_bytes: int,
    formed: int = 0,
    read: int | None = None,
    as_bytes: bool = False,
    parts: tuple[Job, ...] = (),
) -> Job:
    """Return the job of a kernel.

    Parameters
    ----------
    kernel : Kernel
        The kernel. It takes the input, the output, how that is written and room for what is collected first (see
        `record`).
    same : tuple
        What else it takes: sizes, tables and other rooms.
    x, out : Lines
        What the kernel reads and writes.
    unit : int
        How many rows of the result the kernel does at once.
    least : int
        How many such units a thread should do at a time.
    product_bytes : int
        Bytes of all products that are formed.
    formed : int
        How many rows are formed on the way to the result.
    read : int, optional
        Bytes that are read from memory, if not those of `x`.
    as_bytes : bool
        Whether the kernel takes its arrays as bytes, whatever they are.
    parts : tuple of Job
        Jobs whose records the kernel takes.
    """
    given = [Given(_UINT8, (lines.nbytes,)) if as_bytes else Given(lines.dtype, (lines.size,)) for lines in (x, out)]
    passing = passes_caches(product_bytes, x.nbytes if read is None else read, out.nbytes)
    line = BYTES // out.dtype.itemsize
    collected = STRIP_LINES * line + TOGETHER * (out.width + 4 * line) + line if passing else 1
    moved = min(x.nbytes, BYTES * out.size) + out.nbytes  # a sample is read with its line
    cost = max(product_bytes // 4, moved) + formed * ROW_BYTES
    arguments = (*given, 0, False, Room(given[1].dtype, (collected,)), *same)
    units = -(-out.rows // unit)
    record = record_of(kernel, arguments, units, cost, least)
    if passing:
        row = out.width * out.dtype.itemsize
        record[PASSING] = out.dtype.itemsize
        record[ASTRAY] = BYTES if row >= _LONG_ROW else -1 if row % BYTES else 0
    return Job((arguments, parts), record, out, unit, product_bytes, formed + units)


def passes_caches(product_bytes: int, read: int, written: int) -> bool:
    """Return whether a result goes past the caches, given what is computed, read and written, in bytes.

    One that is no more than a copy stays in the last cache if it fits there, unless the input takes that.
    """
    left = _LAST_CACHE if not product_bytes and read < _STREAMED_BYTES else 0
    return read + written >= _STREAMED_BYTES and written > left


def lines_of(step: FilterStep | SelectStep) -> tuple[int, Lines, Lines]:
    """Return the number of planes, and what a kernel reads and writes.

    Where the rows stay as they are, a plane has one.
    """
    planes, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    if step.rows is None:
        planes, rows_in, rows_out = planes * rows_in, 1, 1
    x = Lines(np.dtype(step.source.carrier), planes * rows_in, columns_in * inner)
    return planes, x, Lines(np.dtype(step.result.carrier), planes * rows_out, columns_out * inner)


def lengths_of(planes: int, x: Lines, out: Lines) -> tuple[int, int, int, int]:
    """Return the rows of a plane before and after, and their widths in scalars."""
    return x.rows // planes, out.rows // planes, x.width, out.width
