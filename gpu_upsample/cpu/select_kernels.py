"""The CPU kernel of copies of input samples."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu import vectors
from gpu_upsample.cpu.compiled import compiled, inlined
from gpu_upsample.cpu.permute import gather
from gpu_upsample.cpu.rows import STRIP_LINES, drain, readable, write
from gpu_upsample.cpu.vectors import (
    aligned_pointer,
    copy,
    entry,
    fence,
    load,
    load_first,
    pointer,
    splat,
    store,
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
def select_neighbours(LANES, REGISTERS, FILL, row, columns, number, stride, width, fill, exact, goal):  # noqa: N803
    """Copy scalars of a row in vectors, each of neighbours in the output.

    Parameters
    ----------
    REGISTERS : int
        As for `select_kernel`.
    number, stride : int
        How many vectors there are, and scalars from one to the next.
    width : int
        Scalars of the row.
    exact : bool
        Whether nothing may be written behind these.
    others
        As for `select_pixels`.
    """
    start, form, index, inside = columns
    for b in range(number):
        at, to = entry(form, b) * LANES, b * stride
        value = gather(REGISTERS, row, entry(start, b), load(LANES, index, at), 0)
        if FILL:
            value = where_nonzero(load(LANES, inside, at), value, splat(LANES, fill))
        write(goal, to, value, width - to, not exact or to + LANES <= width, False)


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
        For such a vector: in how many registers its samples lie, or 0 for anywhere.
    FILL : int
        1 if some outputs are no copies but `fill`.
    """
    LANES = vectors.BYTES // SIZE

    @compiled
    def kernel(
        x, out, origin, first, last, lead, streams, rows_in, rows_out, width_in, width,
        rows, column_start, column_form, column_index, column_inside, stride, inner, fill,
        line_room, row_room, strip_room,
    ):  # fmt: skip
        row = aligned_pointer(row_room, -lead & (LANES - 1) if streams else 0)
        line, strip = aligned_pointer(line_room, 0), aligned_pointer(strip_room, 0)
        data, size, room, number = pointer(x, 0), x.size, line_room.size, column_start.size
        columns = (
            pointer(column_start, 0), pointer(column_form, 0), pointer(column_index, 0), pointer(column_inside, 0),
        )  # fmt: skip
        base, collects = first * width, strip_room.size > 1
        direct = COLUMNS and not (streams or collects)  # a row is formed where it stays
        held = held_row = -1
        for r in range(first, last):
            target = pointer(out, 0)
            if collects:
                target = pointer(strip, ((lead + base) & (LANES - 1)) - base)
            plane = r // rows_out
            chosen = entry(rows, r - plane * rows_out)
            source = plane * rows_in + chosen if chosen >= 0 else -1
            src, to = source * width_in, r * width
            if COLUMNS and source >= 0 and source != held:
                held, held_row = source, r
                goal = pointer(target, to) if direct else row
                if PIXELS:
                    select_pixels(LANES, FILL, pointer(data, src), columns, number, inner, fill, goal)
                else:
                    samples = readable(data, size, src, width_in, room, line)
                    select_neighbours(
                        LANES, REGISTERS, FILL, samples, columns, number, stride, width, fill, direct, goal
                    )
            elif direct and source >= 0:
                copy(out, to, out, held_row * width, width)
            j, n = width if direct and source >= 0 else 0, -(lead + to) & (LANES - 1) if streams else 0
            n = min(n if n != 0 else LANES, width)
            while j < width:
                if FILL and source < 0:
                    value = splat(LANES, fill)
                elif COLUMNS:
                    value = load(LANES, row, j)
                elif n == LANES:
                    value = load(LANES, data, src + j)
                else:
                    value = load_first(LANES, data, src + j, n)
                write(target, to + j, value, n, n == LANES or collects, streams)
                j += n
                n = min(LANES, width - j)
            if collects and (r + 1 == last or (r + 1) * width - base >= STRIP_LINES * LANES):
                base = drain(pointer(out, 0), strip, LANES, lead, base, (r + 1) * width, r + 1 == last)
        if streams or collects:
            fence()

    return kernel
