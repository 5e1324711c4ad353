"""How the threads of a resampling kernel share its result, and what they are told."""

from __future__ import annotations

from math import gcd, prod

from gpu_upsample.cuda import memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.run import ACCESS, NARROW
from gpu_upsample.cuda.volumes import VolumeStep
from gpu_upsample.plan.steps import FilterStep, SelectStep

# Threads on a multiprocessor with which it reaches half of its full speed.
_BUSY = 1 << 10
# Output rows of a strip at most, for each source row that one needs: the longer a strip is, the longer the last
# threads keep the GPU waiting.
_STRIP = 4
# Pieces of a line that a thread owns at most: each has an address, and a store, of its own.
_MAX_PIECES = 8


def strip_rows(rows_read: int, rows_out: int, depth: int, threads: float) -> int:
    """Return how many output rows a thread walks down.

    The time of a strip is that of its source rows, some of which the next strip reads again, and one more for its
    start. All of it takes the longer, the fewer threads there are to hide each other's waiting for memory.

    Parameters
    ----------
    rows_read, rows_out : int
        Rows of a plane that are read, and those that are written.
    depth : int
        Source rows that an output row needs.
    threads : float
        Threads that there would be with strips of one row, divided by those with which the GPU reaches half of its
        full speed.
    """

    def time_of_a_row(strip: int) -> float:
        return ((strip - 1) * rows_read / rows_out + depth + 1) / strip * (1 + strip / threads)

    return min(range(1, min(rows_out, _STRIP * depth) + 1), key=time_of_a_row)


def grid(step: FilterStep | SelectStep, lanes: int, device: int) -> tuple[int, int, int, int, int]:
    """Return (threads, planes, threads across a row, strips of a plane, rows of a strip)."""
    planes, (rows_in, rows_out, _, width, _) = step.shape[0], extent(step)
    across = -(-width // lanes) * lines_of(step)[1]
    if isinstance(step, SelectStep):  # rows between those selected are not read
        rows_read, depth = min(rows_in, rows_out), 1
    else:
        rows_read, depth = rows_in, 1 if step.rows is None else step.rows.width
    busy = _BUSY * memory.multiprocessors(device)
    strip = strip_rows(rows_read, rows_out, depth, planes * rows_out * across / busy)
    strips = -(-rows_out // strip)
    return planes * strips * across, planes, across, strips, strip


def fits(lanes: int, *arrays: tuple[int, int, int]) -> bool:
    """Say whether a thread may load and store so many neighbours.

    `arrays` holds triples of an array's address, modulo `ACCESS`, its bytes per scalar and the length of its rows:
    every row must begin at a multiple of an access.
    """

    def aligned(address: int, itemsize: int, width: int) -> bool:
        return width % lanes == 0 and address % (gcd(lanes, ACCESS // itemsize) * itemsize) == 0

    return all(aligned(*array) for array in arrays)


def pieces_of(lanes: int, *arrays: tuple[int, int, int]) -> int:
    """Return in how many pieces a thread loads and stores so many lanes: the fewest that `fits` allows, 0 for too many.

    A line is dealt to its threads piece by piece, so only the last piece of a thread may lie beyond the end.
    """
    pieces = next(n for n in range(1, lanes + 1) if lanes % n == 0 and fits(lanes // n, *arrays))
    shortest = min(width for _, _, width in arrays)
    return pieces if pieces <= _MAX_PIECES and lanes * (pieces - 1) <= shortest else 0


def extent(step: FilterStep | SelectStep) -> tuple[int, int, int, int, int]:
    """Return the rows and the scalars of a line, of the input and of the output, and the scalars of a pixel."""
    _, rows_in, columns_in, inner = step.shape
    _, rows_out, columns_out, _ = step.shape_out
    return rows_in, rows_out, columns_in * inner, columns_out // lines_of(step)[1] * inner, inner


def lines_of(step: FilterStep | SelectStep) -> tuple[int, int]:
    """Return how many lines a row has, of the input and of the output."""
    return (step.lines.n_in, step.lines.n_out) if isinstance(step, VolumeStep) else (1, 1)


def is_wide(step: FilterStep | SelectStep, lanes: int) -> bool:
    """Say whether flat indices need 64 bits, those of threads beyond the end of an array too."""
    return max(prod(step.shape) * lines_of(step)[0], prod(step.shape_out)) + THREADS * lanes >= NARROW
