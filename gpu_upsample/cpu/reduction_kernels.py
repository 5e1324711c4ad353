"""The CPU kernel of long sums: those of a gradient for a weight or a bias, over all windows of all arrays."""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import narrow
from gpu_upsample.cpu.bundles import add_lanes, add_terms, several
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.vectors import entries, pointer, splat


@cache
def reduction_kernel(KIND: int, PARTS: int, LANES: int, STEP: int, ROWS: int, COLUMNS: int) -> Any:  # noqa: N803
    """Return the kernel that forms long sums, some channels of factors and some taps at a time.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalars.
    PARTS : int
        Scalars of an element, 2 for complex numbers.
    LANES : int
        Windows of a vector.
    STEP : int
        Stride along a row if it is small and the samples of a row are neighbours, which are read in vectors then; else
        0, and they are brought together one by one.
    ROWS, COLUMNS : int
        Channels of the factors, 0 if there are none; and taps along a row, of all channels of the samples.
    """
    HELD, NUMBER = max(ROWS, 1), max(ROWS, 1) * COLUMNS

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, factors, out, counts, batch, size, windows, kernel, deep, high, places, begins, ends, in_line, apart,
            strides, factor_strides, turns, lanes, minus_zero, line_room, held_room, totals,
        ) = unpack(arguments, scratch)  # fmt: skip
        _, in_group, in_factors = counts
        depth, height, width = windows
        shift_d, begin_d, end_d, stride_d = deep
        shift_h, begin_h, end_h, stride_h = high
        taps, segments, between = in_group * kernel[2], (width + lanes - 1) // lanes, factor_strides[2]
        across, down = (taps + COLUMNS - 1) // COLUMNS, (in_factors + HELD - 1) // HELD
        samples, multipliers = pointer(x, 0), pointer(factors, 0)
        line, held = pointer(line_room, 0), pointer(held_room, 0)
        one_by_one, none = entries(COLUMNS, in_line, 0), several(NUMBER, splat(LANES, minus_zero))
        for job in range(first, last):
            kh, rest = job % kernel[1], job // kernel[1]
            kd, rest = rest % kernel[0], rest // kernel[0]
            # The last ones once more, rather than fewer at a time.
            tap, rest = min(rest % across * COLUMNS, taps - COLUMNS), rest // across
            channel, group = min(rest % down * HELD, in_factors - HELD), rest // down
            own, low, end = entries(COLUMNS, places, tap), entries(COLUMNS, begins, tap), entries(COLUMNS, ends, tap)
            nearest, farthest, latest, soonest = places[tap], places[tap], begins[tap], ends[tap]
            for e in range(tap, tap + COLUMNS):
                nearest, farthest = min(nearest, places[e]), max(farthest, places[e])
                latest, soonest = max(latest, begins[e]), min(soonest, ends[e])
            totals[:] = minus_zero
            real, imaginary = none, none
            turn, until = 0, turns
            for row in range(batch * depth * height):
                h, above = row % height, row // height
                d, image = above % depth, above // depth
                if d < begin_d[kd] or d >= end_d[kd] or h < begin_h[kh] or h >= end_h[kh]:
                    continue
                above = (d * stride_d + shift_d[kd]) * size[1] + h * stride_h + shift_h[kh]
                source = image * strides[0] + group * in_group * strides[1] + above * size[2] * strides[2]
                goal = image * factor_strides[0] + (group * in_factors + channel) * factor_strides[1]
                goal += (d * height + h) * width * between
                for segment in range(segments):
                    turn, left = row * segments + segment, segment * lanes
                    if turn >= until:
                        until = (turn // turns + 1) * turns
                        add_lanes(totals, 0, real)
                        real = none
                        if PARTS > 1:
                            add_lanes(totals, NUMBER, imaginary)
                            imaginary = none
                    at, begin = source + left * apart, goal + left * between
                    far = begin + (HELD - 1) * factor_strides[1] + LANES if ROWS else 0
                    if STEP and at + nearest >= 0 and at + farthest + LANES * STEP <= x.size and far <= factors.size:
                        if left >= latest and left + LANES <= soonest:
                            real = add_terms(
                                KIND, STEP, 0, ROWS, samples, at, own, multipliers, begin, factor_strides[1], low, end,
                                left, real,
                            )  # fmt: skip
                        else:
                            real = add_terms(
                                KIND, STEP, 1, ROWS, samples, at, own, multipliers, begin, factor_strides[1], low, end,
                                left, real,
                            )  # fmt: skip
                        continue
                    for e in range(tap, tap + COLUMNS):
                        for part in range(PARTS):
                            to = (part * COLUMNS + e - tap) * LANES - left
                            for w in range(max(begins[e], left), min(ends[e], left + lanes)):
                                line_room[to + w] = x[(source + places[e] + w * apart) * PARTS + part]
                    for i in range(ROWS):
                        for part in range(PARTS):
                            to = (part * HELD + i) * LANES - left
                            for w in range(left, min(width, left + lanes)):
                                value = factors[(goal + i * factor_strides[1] + w * between) * PARTS + part]
                                held_room[to + w] = value
                                if PARTS > 1:
                                    held_room[to + HELD * LANES + w] = -value  # of the imaginary part, in the end
                    real = add_terms(
                        KIND, 1, 1, ROWS, line, 0, one_by_one, held, 0, LANES, low, end, left, real
                    )  # fmt: skip
                    if PARTS > 1:  # (a - bi)(c + di) = (ac + bd) + (ad - bc)i
                        at, begin = COLUMNS * LANES, HELD * LANES
                        if ROWS:
                            real = add_terms(
                                KIND, 1, 1, ROWS, line, at, one_by_one, held, begin, LANES, low, end, left, real
                            )  # fmt: skip
                            imaginary = add_terms(
                                KIND, 1, 1, ROWS, line, 0, one_by_one, held, 2 * begin, LANES, low, end, left, imaginary
                            )  # fmt: skip
                        imaginary = add_terms(
                            KIND, 1, 1, ROWS, line, at, one_by_one, held, 0, LANES, low, end, left, imaginary
                        )  # fmt: skip
            add_lanes(totals, 0, real)
            if PARTS > 1:
                add_lanes(totals, NUMBER, imaginary)
            for i in range(HELD):
                for j in range(COLUMNS):
                    to, kw = (tap + j) // kernel[2], (tap + j) % kernel[2]
                    element = ((group * in_factors + channel + i) * in_group + to) * kernel[0] + kd
                    element = (element * kernel[1] + kh) * kernel[2] + kw
                    for part in range(PARTS):
                        out[element * PARTS + part] = narrow(KIND, totals[part * NUMBER + i * COLUMNS + j])

    return kernel
