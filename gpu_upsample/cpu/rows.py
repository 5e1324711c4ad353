"""How kernels read and write whole rows."""

from __future__ import annotations

from gpu_upsample.cpu.compiled import compiled, inlined
from gpu_upsample.cpu.vectors import copy, load, pointer, stream, stream_line

STRIP_LINES = 64
"""Cache lines that are collected before they are streamed: as many as may wait beside other stores."""


@inlined
def readable(x, size, src, width, room, line):
    """Return where `room` elements from a row's first one on can be read: there, or in a copy of the row.

    Parameters
    ----------
    x : pointer
        The input.
    size : int
        Elements of the input.
    src, width : int
        Where the row begins, and its elements.
    room : int
        Elements that are read in whole vectors, beyond the end of the row, too.
    line : pointer
        Room for the copy.
    """
    row = pointer(x, src)
    if src + room > size:
        copy(line, 0, x, src, width)
        row = line
    return row


@inlined
def write_row(LANES, out, at, row, width, lead, streams):  # noqa: N803
    """Copy a row of a result, past the caches where these are whole cache lines.

    Parameters
    ----------
    LANES : int
        Elements of a cache line.
    out, row : pointer
        The result, and the row.
    at, width : int
        Where the row begins in the result, and its elements.
    lead : int
        Elements between the start of a cache line and the result.
    streams : bool
        Whether anything passes the caches.
    """
    if streams:
        ahead = min(-(lead + at) & (LANES - 1), width)
        end = width - (width - ahead) % LANES
        copy(out, at, row, 0, ahead)
        for j in range(ahead, end, LANES):
            stream(out, at + j, load(LANES, row, j))
        copy(out, at + end, row, end, width - end)
    else:
        copy(out, at, row, 0, width)


@compiled
def drain(out, strip, line, lead, base, end, final):
    """Stream the whole cache lines of what has been collected for an output, and keep the rest.

    Parameters
    ----------
    out, strip : pointer
        The output, and what is collected for it.
    line : int
        Elements of a cache line.
    lead : int
        Elements between the start of a cache line and the output.
    base, end : int
        The strip begins with element `base` of the output, at the start of a line or, first of all, behind it; it is
        filled up to element `end`.
    final : bool
        Whether nothing follows, so that the rest is stored, too.

    Returns
    -------
    int
        The element with which the strip begins now.
    """
    skipped = (lead + base) & (line - 1)  # the strip has room for them
    at = base
    if skipped:
        at = min(base + line - skipped, end)
        copy(out, base, strip, skipped, at - base)
    base -= skipped
    while at + line <= end:
        stream_line(out, at, strip, at - base)
        at += line
    if final:
        copy(out, at, strip, at - base, end - at)
    else:
        copy(strip, 0, strip, at - base, end - at)
    return at
