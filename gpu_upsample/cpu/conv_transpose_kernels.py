"""The CPU kernels of the transposed convolution: written as those of `kernels.py` are.

There are two, for short sums and for long ones; both add the same terms in the same order.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from gpu_upsample.cpu.compiled import compiled
from gpu_upsample.cpu.kernels import fma, narrow, widen
from gpu_upsample.cpu.tiles import VECTORS, add_products, load_alone, store_alone

CHANNELS, CHANNELS_IN = 8, 8
"""Channels of the output and the input of which the weight is brought into the order of the products at once."""

DEPTH = 512
"""Rows of the factors that are multiplied at once: those of a few tiles should stay in the cache."""

TILES = 2
"""Tiles that are multiplied by the same part of the weight while it is at hand."""


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

    @compiled
    def kernel(
        x, weight, bias, out, first, last, sizes, channels, stride, padding, dilation, strides_in, strides_out,
        strides_weight, depth_table, depth_steps, height_table, height_steps, zero, lines,
    ):  # fmt: skip
        height_in, width_in, depth_out, height_out, width_out, kernel_h, kernel_w = sizes
        in_group, out_group, groups = channels
        step = STRIDE if STRIDE else stride
        between_in = strides_in[2] if LAST else 1
        between_out = strides_out[2] if LAST else 1
        between = step * between_in if ADJOINT else between_in
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
                                near = begin * step + shift if ADJOINT else begin
                                seen = x[(src + near * between_in) * PARTS :]  # begins at the first term
                                totals = line[(begin + ahead) * PARTS :]
                                for j in range(end - begin):
                                    value = widen(KIND, seen[j * between * PARTS + of])
                                    totals[j * PARTS + to] = fma(factor, value, totals[j * PARTS + to])
            dst = image * strides_out[0] + channel * strides_out[1]
            dst += (od * height_out + oh) * width_out * strides_out[2]
            target = out[dst * PARTS :]
            if STRIDE and phases == STRIDE:  # all phases at once: whole vectors are interleaved
                for j in range(width_out // STRIDE):
                    for phase in range(STRIDE):
                        for to in range(PARTS):
                            at = (j * STRIDE + phase) * between_out * PARTS + to
                            target[at] = narrow(KIND, lines[phase, j * PARTS + to])
            for ow in range(width_out // STRIDE * STRIDE if STRIDE and phases == STRIDE else 0, width_out):
                for to in range(PARTS):
                    value = lines[ow % phases, ow // phases * PARTS + to]
                    target[ow * between_out * PARTS + to] = narrow(KIND, value)

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

    @compiled
    def kernel(weight, panels, first, last, channels, strides, taps):
        in_group, out_group = channels
        blocks = (out_group + CHANNELS - 1) // CHANNELS
        for job in range(first, last):
            group = job // blocks
            low = (job - group * blocks) * CHANNELS
            for start in range(0, in_group, CHANNELS_IN):  # few enough for the cache to hold all taps of them
                end = min(start + CHANNELS_IN, in_group)
                for tap in range(taps.shape[0]):
                    base, length, apart, shift, row, turn = taps[tap]
                    for co in range(low, min(low + CHANNELS, out_group) if base >= 0 else low):
                        factors = group * strides[0] + co * strides[2] + tap
                        for part in range(PARTS * PARTS):
                            to, of = part // PARTS, part % PARTS
                            m = (co * apart + shift) * PARTS + to
                            at = base + (m // ROWS * length + row + of) * ROWS + m % ROWS
                            for c in range(start, end):
                                word = load_alone(weight, (factors + c * strides[1]) * PARTS + (to ^ of))
                                factor = widen(KIND, word)
                                if (to > of) if ADJOINT else (of > to):
                                    factor = -factor
                                store_alone(panels[group], at + c * turn * ROWS, factor)

    return kernel


@compiled
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

    @compiled
    def kernel(
        x, panels, bias, out, first, last, cuts, spans, in_group, out_group, combs, outputs, axes, room, zero,
        right, masks, sums, target, source, straight, present, complete,
    ):  # fmt: skip
        tile = LANES * VECTORS
        between_in, between_out = axes[5][1], axes[6][1]
        for job in range(first, last):
            cut, rest = job % cuts, job // cuts
            group, begin = rest // spans, rest % spans * (tile * TILES)
            for q in range(combs.shape[0]):
                comb = combs[q]
                panel, length, height, names, positions = comb[:5]
                tiles = min(TILES, (positions - begin + tile - 1) // tile)
                for t in range(tiles):
                    complete[t] = locate(
                        comb, axes, begin + t * tile, LANES, room, target[t], source[t], straight[t], present[t]
                    )
                taps = comb[10]
                turns = comb[8] * comb[9] * in_group
                most = max(1, DEPTH // max(taps * PARTS, 1))
                blocks = (height + ROWS - 1) // ROWS
                low, high = blocks * cut // cuts, blocks * (cut + 1) // cuts
                for done in range(0, max(turns, 1), most):
                    until = min(done + most, turns)
                    rows = (until - done) * taps * PARTS
                    for above in range(done // in_group, (until + in_group - 1) // in_group if rows > 0 else 0):
                        begun = max(done, above * in_group)
                        channels = min(until, (above + 1) * in_group) - begun
                        at = (group * in_group + begun - above * in_group) * between_in
                        for part in range(tiles * taps * PARTS):
                            t, of = part // (taps * PARTS), part % PARTS
                            k = part // PARTS - t * taps
                            pair = above * taps + k
                            row = ((begun - done) * taps + k) * PARTS + of
                            if straight[t, pair]:
                                src = (source[t, pair, 0] + at) * PARTS + of
                                for c in range(channels):
                                    samples = x[src + c * between_in * PARTS :]
                                    factors = right[t, (row + c * taps * PARTS) * tile :]
                                    for p in range(tile):
                                        factors[p] = widen(KIND, samples[p * PARTS])
                            else:
                                for p in range(tile):
                                    src = (source[t, pair, p] + at) * PARTS + of
                                    for c in range(channels):
                                        value = widen(KIND, load_alone(x, src + c * between_in * PARTS))
                                        store_alone(right[t], (row + c * taps * PARTS) * tile + p, value)
                            if not complete[t]:
                                for c in range(channels):
                                    for v in range(VECTORS):
                                        masks[t, (row + c * taps * PARTS) * VECTORS + v] = present[t, pair, v]
                    for block in range(low, high):
                        for t in range(tiles):
                            held = ((block - low) * TILES + t) * ROWS * tile if turns > most else 0
                            totals = sums[held : held + ROWS * tile]
                            if done == 0:
                                for i in range(ROWS):
                                    m = names + min(block * ROWS + i, height - 1)
                                    channel = group * out_group * PARTS + outputs[m, 0]
                                    value = widen(KIND, bias[channel]) if bias.size else zero
                                    for p in range(tile):
                                        totals[i * tile + p] = value
                            at = panel + (block * length + done * taps * PARTS) * ROWS
                            if rows > 0 and complete[t]:
                                add_products(LANES, ROWS, 0, rows, panels[group], at, right[t], masks[t], totals)
                            elif rows > 0:
                                add_products(LANES, ROWS, 1, rows, panels[group], at, right[t], masks[t], totals)
                            if until == turns:
                                for i in range(min(ROWS, height - block * ROWS)):
                                    away = outputs[names + block * ROWS + i, 1]
                                    away += group * out_group * between_out * PARTS
                                    for p in range(min(tile, positions - begin - t * tile)):
                                        value = narrow(KIND, totals[i * tile + p])
                                        store_alone(out, target[t, p] * PARTS + away, value)

    return kernel
