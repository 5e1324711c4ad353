"""The CPU kernel of long sums: those of a gradient for a weight or a bias, over all windows of all arrays."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import narrow
from gpu_upsample.cpu.bundles import add_lanes, add_terms, several
from gpu_upsample.cpu.compiled import Kernel, inlined
from gpu_upsample.cpu.vectors import entries, pointer, splat


@inlined
def line_up(PARTS, LANES, NEAR, x, at, step, first, last, left, lines, which, apart):  # noqa: N803
    """Bring scalars of a row together one by one, each part of them into a line of its own.

    Parameters
    ----------
    PARTS, LANES : int
        As for `reduction_kernel`.
    NEAR : int
        How far the scalars of a line are to lie apart.
    x : ndarray
        The array.
    at, step : int
        Where the element of window 0 lies, and how far that of the next one lies behind it.
    first, last, left : int
        The windows whose elements are needed, from one up to the other; and the window of the first lane.
    lines : ndarray
        The lines, each with room for LANES scalars.
    which, apart : int
        The line of the first part, and how many lines on that of the next one follows.
    """
    for part in range(PARTS):
        begin = (which + part * apart) * LANES - left
        for w in range(first, last):
            lines[(begin + w) * NEAR] = x[(at + w * step) * PARTS + part]


@cache
def reduction_kernel(KIND: int, PARTS: int, LANES: int, STEP: int, ROWS: int, COLUMNS: int) -> Any:  # noqa: N803
    """Return the kernel that forms long sums, of some channels of factors by some taps at a time.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalars.
    PARTS : int
        Scalars of an element, 2 for complex numbers.
    LANES : int
        Windows of a vector: those of a turn, or more, which are masked.
    STEP : int
        Stride along a row if it is small and the samples of a row are neighbours, which are read in vectors then; else
        0, and they are brought together one by one.
    ROWS, COLUMNS : int
        How many channels of the factors are taken at a time, 0 if there are no factors; and how many taps along a row,
        of all channels of the samples.
    """
    HELD, NUMBER, NEAR = max(ROWS, 1), max(ROWS, 1) * COLUMNS, max(STEP, 1)

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, factors, out, in_group, in_factors, planes, size, windows, kernel, deep, high, places, begins, ends,
            step, strides, factor_strides, turns, lanes, minus_zero, in_lines, lines, held_lines, totals,
        ) = unpack(arguments, scratch)  # fmt: skip
        depth, height, width = windows
        shift_d, begin_d, end_d, stride_d = deep
        shift_h, begin_h, end_h, stride_h = high
        taps, segments = in_group * kernel[2], (width + lanes - 1) // lanes
        across, down = (taps + COLUMNS - 1) // COLUMNS, (in_factors + HELD - 1) // HELD
        samples, multipliers, line, held = pointer(x, 0), pointer(factors, 0), pointer(lines, 0), pointer(held_lines, 0)
        lined_up, none = entries(COLUMNS, in_lines, 0), several(NUMBER, splat(LANES, minus_zero))
        apart, beside = factor_strides[1], factor_strides[2]
        for job in range(first, last):
            kh, rest = job % kernel[1], job // kernel[1]
            kd, rest = rest % kernel[0], rest // kernel[0]
            # The last ones once more, rather than fewer at a time: two jobs write the same sums then.
            tap, rest = min(rest % across * COLUMNS, taps - COLUMNS), rest // across
            channel, group = min(rest % down * HELD, in_factors - HELD), rest // down
            own, low, end = entries(COLUMNS, places, tap), entries(COLUMNS, begins, tap), entries(COLUMNS, ends, tap)
            nearest, farthest, latest, soonest = places[tap], places[tap], begins[tap], ends[tap]
            for k in range(tap, tap + COLUMNS):
                nearest, farthest = min(nearest, places[k]), max(farthest, places[k])
                latest, soonest = max(latest, begins[k]), min(soonest, ends[k])
            totals[:] = minus_zero
            real, imaginary, until = none, none, turns
            for plane in range(planes):
                image, d = plane // depth, plane % depth
                rows = range(begin_h[kh], end_h[kh] if begin_d[kd] <= d < end_d[kd] else 0)
                for h in rows:
                    above = (d * stride_d + shift_d[kd]) * size[1] + h * stride_h + shift_h[kh]
                    source = image * strides[0] + group * in_group * strides[1] + above * size[2] * strides[2]
                    goal = image * factor_strides[0] + (group * in_factors + channel) * apart
                    goal += (d * height + h) * width * beside
                    for segment in range(segments):
                        turn, left = (plane * height + h) * segments + segment, segment * lanes
                        if turn >= until:
                            until = (turn // turns + 1) * turns
                            add_lanes(totals, 0, real)
                            real = none
                            if PARTS > 1:
                                add_lanes(totals, NUMBER, imaginary)
                                imaginary = none
                        at, by, inside = source + left * step, goal + left * beside, False
                        if STEP:
                            inside = at + nearest >= 0 and at + farthest + LANES * STEP <= x.size
                            inside &= ROWS == 0 or by + (HELD - 1) * apart + LANES <= factors.size
                        if inside and left >= latest and left + LANES <= soonest:
                            real = add_terms(
                                KIND, NEAR, 0, ROWS, samples, at, own, multipliers, by, apart, low, end, left, real
                            )  # fmt: skip
                            continue
                        here, there, spots, between = samples, multipliers, own, apart
                        if not inside:
                            right = min(width, left + lanes)
                            for k in range(COLUMNS):
                                begin, to = max(begins[tap + k], left), min(ends[tap + k], right)
                                at = source + places[tap + k]
                                line_up(PARTS, LANES, NEAR, x, at, step, begin, to, left, lines, k, COLUMNS)
                            for i in range(ROWS):
                                by = goal + i * apart
                                line_up(PARTS, LANES, 1, factors, by, beside, left, right, left, held_lines, i, HELD)
                            here, there, spots, between, at, by = line, held, lined_up, LANES, 0, 0
                        real = add_terms(
                            KIND, NEAR, 1, ROWS, here, at, spots, there, by, between, low, end, left, real
                        )  # fmt: skip
                        if PARTS > 1:  # (a - bi)(c + di) = (ac + bd) + (ad - bc)i
                            at, by = COLUMNS * LANES, HELD * LANES
                            if ROWS:
                                for i in range(by, 2 * by):
                                    held_lines[by + i] = -held_lines[i]
                                real = add_terms(
                                    KIND, 1, 1, ROWS, line, at, lined_up, held, by, LANES, low, end, left, real
                                )  # fmt: skip
                                imaginary = add_terms(
                                    KIND, 1, 1, ROWS, line, 0, lined_up, held, 2 * by, LANES, low, end, left, imaginary
                                )  # fmt: skip
                            imaginary = add_terms(
                                KIND, 1, 1, ROWS, line, at, lined_up, held, 0, LANES, low, end, left, imaginary
                            )  # fmt: skip
            add_lanes(totals, 0, real)
            if PARTS > 1:
                add_lanes(totals, NUMBER, imaginary)
            for i in range(NUMBER):
                k, to = tap + i % COLUMNS, (group * in_factors + channel + i // COLUMNS) * in_group
                element = ((to + k // kernel[2]) * kernel[0] + kd) * kernel[1] + kh
                for part in range(PARTS):
                    out[(element * kernel[2] + k % kernel[2]) * PARTS + part] = narrow(KIND, totals[part * NUMBER + i])

    return kernel
