"""The CPU kernels of the transposed convolution: written as those of `kernels.py` are.

There are two, for short sums and for long ones; both add the same terms in the same order.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import njit

from gpu_upsample.cpu.kernels import fma, narrow, widen
from gpu_upsample.cpu.vectors import VECTORS, add_products

CHANNELS = 8
"""Output channels of a part of the weight that is brought into the order of the products at once."""

DEPTH = 2048
"""Rows of the factors that are multiplied at once: they should stay in the cache."""


@cache
def row_kernel(KIND: int, PARTS: int, STRIDE: int, LAST: int, ADJOINT: int) -> Any:  # noqa: N803
    """Return the kernel that forms the sums of whole output rows.

    Parameters
    ----------
    KIND : int
        Kind of the stored scalars.
    PARTS : int
        Scalars of an element, 2 for complex numbers.
    STRIDE : int
        Stride along a row if it is 1 or 2, else 0.
    LAST : int
        1 if channels are the last axis, so that the samples of a row are not neighbours.
    ADJOINT : int
        1 if the windows are the output, 0 if they are the input.
    """

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(
        x, weight, bias, out, first, last, sizes, channels, stride, padding, dilation, strides_in, strides_out,
        strides_weight, depth_table, depth_steps, height_table, height_steps, zero, lines,
    ):  # fmt: skip
        height_in, width_in, depth_out, height_out, width_out, kernel_h, kernel_w = sizes
        in_group, out_group, groups = channels
        step = STRIDE if STRIDE else stride
        between_in = strides_in[2] if LAST else 1
        between_out = strides_out[2] if LAST else 1
        windows, samples = (width_out, width_in) if ADJOINT else (width_in, width_out)
        # The samples of a row apart by phase, so that those that one tap reaches are neighbours.
        phases, pitch = lines.shape[0], lines.shape[1] // PARTS
        for row in range(first, last):
            oh, rest = row % height_out, row // height_out
            od, rest = rest % depth_out, rest // depth_out
            channel, image = rest % (out_group * groups), rest // (out_group * groups)
            group, co = channel // out_group, channel % out_group
            for to in range(PARTS):
                first_term = widen(KIND, bias[channel * PARTS + to]) if bias.size else zero
                for phase in range(phases):
                    for j in range(pitch):
                        lines[phase, j * PARTS + to] = first_term
            for a in range(depth_table[2, od]):
                sample_d = depth_table[0, od] + a * depth_steps[0]
                tap_d = depth_table[1, od] + a * depth_steps[1]
                for b in range(height_table[2, oh]):
                    sample_h = height_table[0, oh] + b * height_steps[0]
                    tap_h = height_table[1, oh] + b * height_steps[1]
                    place = (sample_d * height_in + sample_h) * width_in
                    tap = (tap_d * kernel_h + tap_h) * kernel_w
                    for c in range(in_group):
                        ci = group * in_group + c
                        src = image * strides_in[0] + ci * strides_in[1] + place * strides_in[2]
                        factors = group * strides_weight[0] + c * strides_weight[1] + co * strides_weight[2] + tap
                        for k in range(kernel_w):
                            shift = k * dilation - padding
                            begin = max(0, (-shift + step - 1) // step)
                            end = min(windows, (samples - 1 - shift) // step + 1)
                            phase = 0 if ADJOINT else shift % step
                            line, ahead = lines[phase], 0 if ADJOINT else (shift - phase) // step
                            for part in range(PARTS * PARTS):
                                to, of = part // PARTS, part % PARTS  # (a + bi)(c + di) = (ac - bd) + (ad + bc)i
                                factor = widen(KIND, weight[(factors + k) * PARTS + (to ^ of)])
                                if (to > of) if ADJOINT else (of > to):  # the adjoint has a - bi
                                    factor = -factor
                                for w in range(begin, end):
                                    i, at = (w * step + shift if ADJOINT else w), w + ahead
                                    value = widen(KIND, x[(src + i * between_in) * PARTS + of])
                                    line[at * PARTS + to] = fma(factor, value, line[at * PARTS + to])
            dst = image * strides_out[0] + channel * strides_out[1]
            dst += (od * height_out + oh) * width_out * strides_out[2]
            if phases == step and STRIDE:  # all phases at once: whole vectors are interleaved
                for j in range(width_out // step):
                    for phase in range(step):
                        for to in range(PARTS):
                            at = (dst + (j * step + phase) * between_out) * PARTS + to
                            out[at] = narrow(KIND, lines[phase, j * PARTS + to])
                for ow in range(width_out // step * step, width_out):
                    for to in range(PARTS):
                        value = lines[ow % step, ow // step * PARTS + to]
                        out[(dst + ow * between_out) * PARTS + to] = narrow(KIND, value)
            else:
                for phase in range(phases):
                    for j in range((width_out - phase + phases - 1) // phases):
                        for to in range(PARTS):
                            at = (dst + (j * phases + phase) * between_out) * PARTS + to
                            out[at] = narrow(KIND, lines[phase, j * PARTS + to])

    return kernel


@cache
def panel_kernel(KIND: int, PARTS: int, ROWS: int, ADJOINT: int) -> Any:  # noqa: N803
    """Return the kernel that brings the weight into the order in which `tile_kernel` multiplies.

    Parameters
    ----------
    KIND, PARTS, ADJOINT : int
        As for `row_kernel`.
    ROWS : int
        Sums that are formed side by side.
    """

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(weight, panels, first, last, channels, strides, taps):
        in_group, out_group = channels
        blocks = (out_group + CHANNELS - 1) // CHANNELS
        for job in range(first, last):
            group = job // blocks
            low = (job - group * blocks) * CHANNELS
            for c in range(in_group):
                for co in range(low, min(low + CHANNELS, out_group)):
                    factors = group * strides[0] + c * strides[1] + co * strides[2]
                    for tap in range(taps.shape[0]):
                        base, length, phases, phase, row, turn = taps[tap]
                        for part in range(PARTS * PARTS if base >= 0 else 0):
                            to, of = part // PARTS, part % PARTS
                            factor = widen(KIND, weight[(factors + tap) * PARTS + (to ^ of)])
                            if (to > of) if ADJOINT else (of > to):
                                factor = -factor
                            m = (co * phases + phase) * PARTS + to
                            at = base + (m // ROWS * length + row + c * turn + of) * ROWS + m % ROWS
                            panels[group, at] = factor

    return kernel


@njit(nogil=True, cache=True, error_model="numpy")
def locate(comb, axes, begin, lanes, room, target, source, straight, present):
    """Find where a tile of outputs lies and what it sums; return whether every pair of its outputs exists.

    Fills, for each position of the tile, where its output lies and, for each pair, where the sample does; for each
    pair whether these samples are neighbours that may be read at once, and which of them there are.
    """
    positions, counts, pairs, places = comb[4], comb[5:8], comb[8:11], comb[11:14]
    size_in, size_out, steps, place_steps, pair_steps, strides_in, strides_out = axes
    rest, jw = begin // counts[2], begin % counts[2]
    rest, jh = rest // counts[1], rest % counts[1]
    image, jd = rest // counts[0], rest % counts[0]
    complete = True
    present[:] = 0
    for p in range(target.size):
        inside = begin + p < positions
        row = (jd * steps[0] * size_out[1] + jh * steps[1]) * size_out[2] + jw * steps[2]
        target[p] = image * strides_out[0] + row * strides_out[2]
        pair = 0
        for a in range(pairs[0]):
            d = places[0] + jd * place_steps[0] + a * pair_steps[0]
            for b in range(pairs[1]):
                h = places[1] + jh * place_steps[1] + b * pair_steps[1]
                for k in range(pairs[2]):
                    w = places[2] + jw * place_steps[2] + k * pair_steps[2]
                    exists = 0 <= d < size_in[0] and 0 <= h < size_in[1] and 0 <= w < size_in[2] and inside
                    source[pair, p] = image * strides_in[0] + ((d * size_in[1] + h) * size_in[2] + w) * strides_in[2]
                    present[pair, p // lanes] |= int(exists) << (p % lanes)
                    complete &= exists or not inside
                    pair += 1
        jw += 1
        if jw == counts[2]:
            jw, jh = 0, jh + 1
        if jh == counts[1]:
            jh, jd = 0, jd + 1
        if jd == counts[0]:
            jd, image = 0, image + 1
    for pair in range(pairs[0] * pairs[1] * pairs[2]):
        low = source[pair, 0]
        line = 0 <= low <= room
        for p in range(target.size):
            line &= source[pair, p] == low + p
        straight[pair] = line
        if not line:  # what is not there is read from the front of the array, and not used
            for p in range(target.size):
                if not (present[pair, p // lanes] >> (p % lanes)) & 1:
                    source[pair, p] = 0
    return complete


@cache
def tile_kernel(KIND: int, PARTS: int, LANES: int, ROWS: int) -> Any:  # noqa: N803
    """Return the kernel that forms the sums of a tile of outputs, for many channels and phases side by side.

    Parameters
    ----------
    KIND, PARTS : int
        As for `row_kernel`.
    LANES, ROWS : int
        Numbers of a vector, and sums that are formed side by side for each.
    """

    @njit(nogil=True, cache=True, error_model="numpy")
    def kernel(
        x, panels, bias, out, first, last, cuts, tiles, in_group, out_group, combs, offsets, axes, room, zero,
        right, masks, sums, target, source, straight, present,
    ):  # fmt: skip
        tile = LANES * VECTORS
        between = axes[5][1]
        for job in range(first, last):
            cut, rest = job % cuts, job // cuts
            group, begin = rest // tiles, rest % tiles * tile
            for q in range(combs.shape[0]):
                comb = combs[q]
                panel, length, height, names, positions = comb[:5]
                if begin >= positions:
                    continue
                complete = locate(comb, axes, begin, LANES, room, target, source, straight, present)
                taps = comb[10]
                turns = comb[8] * comb[9] * in_group
                most = max(1, DEPTH // max(taps * PARTS, 1))
                blocks = (height + ROWS - 1) // ROWS
                low, high = blocks * cut // cuts, blocks * (cut + 1) // cuts
                for done in range(0, max(turns, 1), most):
                    until = min(done + most, turns)
                    row = 0
                    for turn in range(done, until):
                        above, c = turn // in_group, turn % in_group
                        at = (group * in_group + c) * between
                        for k in range(taps):
                            pair = above * taps + k
                            for of in range(PARTS):
                                if straight[pair]:
                                    src = source[pair, 0] + at
                                    for p in range(tile):
                                        right[row * tile + p] = widen(KIND, x[(src + p) * PARTS + of])
                                else:
                                    for p in range(tile):
                                        value = x[(source[pair, p] + at) * PARTS + of]
                                        right[row * tile + p] = widen(KIND, value)
                                if not complete:
                                    for v in range(VECTORS):
                                        masks[row * VECTORS + v] = present[pair, v]
                                row += 1
                    for block in range(low, high):
                        held = (block - low) * ROWS * tile if turns > most else 0
                        if done == 0:
                            for i in range(ROWS):
                                m = min(block * ROWS + i, height - 1)
                                channel = group * out_group + m // (height // out_group)
                                value = widen(KIND, bias[channel * PARTS + m % PARTS]) if bias.size else zero
                                for p in range(tile):
                                    sums[held + i * tile + p] = value
                        at = panel + (block * length + done * taps * PARTS) * ROWS
                        if row > 0:
                            if complete:
                                add_products(LANES, ROWS, 0, row, panels[group], at, right, masks, sums, held)
                            else:
                                add_products(LANES, ROWS, 1, row, panels[group], at, right, masks, sums, held)
                        if until == turns:
                            for i in range(min(ROWS, height - block * ROWS)):
                                away = offsets[names + block * ROWS + i]
                                away += group * out_group * axes[6][1] * PARTS
                                for p in range(min(tile, positions - begin)):
                                    out[target[p] * PARTS + away] = narrow(KIND, sums[held + i * tile + p])

    return kernel
