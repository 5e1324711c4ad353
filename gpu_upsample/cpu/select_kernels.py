"""The CPU kernel of copies of input samples."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu import vectors
from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.compiled import Kernel, inlined
from gpu_upsample.cpu.permute import gather, results_of
from gpu_upsample.cpu.rows import STRIP_LINES, drain, readable, write_row
from gpu_upsample.cpu.vectors import (
    aligned_pointer,
    entries,
    entry,
    fence,
    load,
    pointer,
    splat,
    store,
    store_first,
    where_nonzero,
)


@inlined
def select_pixels(LANES, FILL, row, columns, number, inner, fill, goal):  # noqa: N803
    """Copy whole pixels of a row, of at least LANES scalars.

    Parameters
    ----------
    LANES, FILL : int
        Scalars that are copied at once; as for `select_kernel`.
    row, goal : pointer
        The row, and where the pixels are stored.
    columns : tuple of pointers
        The tables of the columns.
    number, inner : int
        How many pixels are copied, and their scalars.
    fill : scalar
        What stands for a pixel that is no copy.
    """
    start, _, _, _ = columns
    for c in range(number):
        at, i = entry(start, c), 0
        while True:
            value = splat(LANES, fill)
            if not FILL or at >= 0:
                value = load(LANES, row, at + i)
            store(goal, c * inner + i, value)
            if i + LANES >= inner:
                break
            i = min(i + LANES, inner - LANES)  # the last ones once more, rather than fewer


@inlined
def fill_row(LANES, width, fill, goal):  # noqa: N803
    """Fill a row; the parameters are those of `select_neighbours`."""
    value, end = splat(LANES, fill), width - width % LANES
    for j in range(0, end, LANES):
        store(goal, j, value)
    store_first(goal, end, value, width - end)


@inlined
def neighbours(LANES, REGISTERS, RESULTS, FILL, row, columns, b, fill):  # noqa: N803
    """Return one vector of scalars of a row; the parameters are those of `select_neighbours`."""
    start, form, index, inside = columns
    at = entry(form, b) * LANES
    value = gather(REGISTERS, row, entries(RESULTS, start, b * RESULTS), 0, load(LANES, index, at), 0)
    if FILL:
        value = where_nonzero(load(LANES, inside, at), value, splat(LANES, fill))
    return value


@inlined
def select_neighbours(
    LANES, REGISTERS, RESULTS, FILL, row, columns, number, stride, width, fill, exact, goal  # noqa: N803
):  # fmt: skip
    """Copy scalars of a row in vectors, each of neighbours in the output.

    Parameters
    ----------
    REGISTERS : int
        As for `select_kernel`.
    RESULTS : int
        How many parts of a vector have registers of their own.
    number, stride : int
        How many vectors there are, and scalars from one to the next.
    width : int
        Scalars of the row.
    exact : bool
        Whether nothing may be written behind these.
    others
        As for `select_pixels`.
    """
    # Whole vectors in a loop that calls nothing, so that all it needs stays in registers.
    whole = max(0, min(number, (width - LANES) // stride + 1)) if exact else number
    for b in range(whole):
        store(goal, b * stride, neighbours(LANES, REGISTERS, RESULTS, FILL, row, columns, b, fill))
    for b in range(whole, number):
        value = neighbours(LANES, REGISTERS, RESULTS, FILL, row, columns, b, fill)
        store_first(goal, b * stride, value, width - b * stride)


@cache
def select_kernel(SIZE: int, COLUMNS: int, PIXELS: int, REGISTERS: int, FILL: int) -> Any:  # noqa: N803
    """Return the kernel for copies of input samples.

    Parameters
    ----------
    SIZE : int
        Bytes of a scalar: one kernel serves every type of the same size.
    COLUMNS : int
        1 if columns are selected, 0 if whole rows are copied.
    PIXELS : int
        1 if whole pixels are copied, each of a vector or more; 0 if a vector holds neighbouring columns.
    REGISTERS : int
        For each part of such a vector: in how many registers its samples lie, or 0 for anywhere.
    FILL : int
        1 if some outputs are no copies but `fill`.
    """
    LANES = vectors.BYTES // SIZE
    RESULTS = results_of(LANES, SIZE) if REGISTERS else 1

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, out, lead, streams, strip_room, rows_in, rows_out, width_in, width,
            rows, column_start, column_form, column_index, column_inside, stride, inner, fill, line_room, row_room,
        ) = unpack(arguments, scratch)  # fmt: skip
        row = aligned_pointer(row_room, -lead & (LANES - 1) if streams else 0)
        line, strip = aligned_pointer(line_room, 0), aligned_pointer(strip_room, 0)
        data, size, room, number = pointer(x, 0), x.size, line_room.size, column_start.size // RESULTS
        columns = (
            pointer(column_start, 0), pointer(column_form, 0), pointer(column_index, 0), pointer(column_inside, 0),
        )  # fmt: skip
        base, collects = first * width, strip_room.size > 1
        direct = COLUMNS and not (streams or collects)  # a row is formed where it stays
        held, formed = -2, row  # what the row formed last is made of, -1 if it is filled; and where it lies
        for r in range(first, last):
            plane = r // rows_out
            chosen, to = entry(rows, r - plane * rows_out), r * width
            source = plane * rows_in + chosen if chosen >= 0 else -1
            if not COLUMNS and source >= 0:
                formed = pointer(data, source * width_in)
            elif source != held:
                formed = pointer(out, to) if direct else row
                if FILL and source < 0:
                    fill_row(LANES, width, fill, formed)
                elif PIXELS:
                    samples = pointer(data, source * width_in)
                    select_pixels(LANES, FILL, samples, columns, number, inner, fill, formed)
                else:
                    samples = readable(data, size, source * width_in, width_in, room, line)
                    select_neighbours(
                        LANES, REGISTERS, RESULTS, FILL, samples, columns, number, stride, width, fill, direct, formed
                    )
            if not direct or source == held:
                target = pointer(out, 0)
                if collects:
                    target = pointer(strip, ((lead + base) & (LANES - 1)) - base)
                write_row(LANES, target, to, formed, width, lead, streams)
            held = source
            if collects and (r + 1 == last or (r + 1) * width - base >= STRIP_LINES * LANES):
                base = drain(pointer(out, 0), strip, LANES, lead, base, (r + 1) * width, r + 1 == last)
        if streams or collects:
            fence()

    return kernel
