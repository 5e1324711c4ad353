"""The CPU kernel that runs two others in turns, on a band of rows at a time."""

from __future__ import annotations

from gpu_upsample.cpu.arguments import address, call, unpack
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.record import COLLECTED, LEAD, OUT, STREAMS, X


@Kernel
def band_kernel(first, last, arguments, scratch):
    """Run both kernels for the bands from `first` up to `last`.

    Each takes the arguments of a `Job`, of which the thread has copies: in these, what differs from call to call and
    from band to band is set anew.
    """
    (
        x, out, lead, streams, strip, functions, above, below, own_above, own_below, room_above, room_below, rows,
        heights, widths, sizes, unit, line, between,
    ) = unpack(arguments, scratch)  # fmt: skip
    own_above[:] = above
    own_below[:] = below
    own_above[X], own_below[STREAMS], own_below[COLLECTED] = address(x), streams, strip.size
    for band in range(first, last):
        low, high = heights[0] * band, min(heights[0] * (band + 1), rows[0])
        own_above[OUT] = address(between) - low * widths[0] * sizes[0]  # there, row `low` comes first
        call(functions[0], low, high, address(own_above), address(room_above))
        own_below[X], own_below[X + 1] = address(between), (high - low) * widths[0]
        low, high = heights[1] * band, min(heights[1] * (band + 1), rows[1])
        own_below[OUT] = address(out) + low * widths[1] * sizes[1]
        own_below[LEAD] = (lead + low * widths[1]) % line
        call(functions[1], 0, (high - low + unit - 1) // unit, address(own_below), address(room_below))
