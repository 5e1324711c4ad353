"""The CPU kernels of the transposed convolution.

There are two, for short sums and for long ones; both add the same terms in the same order.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gpu_upsample.arithmetic import carrier_of
from gpu_upsample.cpu.arithmetic import add_product, fma, narrow, widen
from gpu_upsample.cpu.compiled import compiled
from gpu_upsample.cpu.permute import gather, register_size, transpose
from gpu_upsample.cpu.tiles import VECTORS, add_products, load_alone, store_alone
from gpu_upsample.cpu.vectors import BYTES, entry, fetch, fetch_to_write, load, splat, store, where_bits

CHANNELS_IN, BLOCKS = 8, 8
"""Channels of the input and blocks of sums of which the weight is brought into the order of the products at once."""

DEPTH = 192
"""Rows of the factors that are multiplied at once: those of a tile should stay in the first cache."""

TILES = 2
"""Tiles that are multiplied by the same part of the weight while it is in the second cache."""

COMB = np.dtype(
    [
        ("panel", np.int64),  # where its panel begins
        ("length", np.int64),  # rows of the panel: products of a sum
        ("height", np.int64),  # sums side by side
        ("positions", np.int64),  # outputs of each of these
        ("counts", np.int64, 3),  # outputs along each axis
        ("pairs", np.int64, 3),  # pairs along each axis
        ("places", np.int64, 3),  # first place on each axis
        ("outputs", np.int64),  # where its rows in the table of outputs begin
        ("bases", np.int64),  # where its numbers in the table of bases begin
    ]
)
"""One comb of each axis, taken together, as the kernels read them."""


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
                            target[at] = narrow(KIND, lines[phase, j * PARTS + to] + zero)
            for ow in range(width_out // STRIDE * STRIDE if STRIDE and phases == STRIDE else 0, width_out):
                for to in range(PARTS):
                    value = lines[ow % phases, ow // phases * PARTS + to] + zero
                    target[ow * between_out * PARTS + to] = narrow(KIND, value)

    return kernel


@cache
def panel_kernel(KIND: int, PARTS: int, ROWS: int, ADJOINT: int, NEAR: int) -> Any:  # noqa: N803
    """Return the kernel that brings the weight into the order in which `tile_kernel` multiplies.

    Parameters
    ----------
    KIND, PARTS, ADJOINT : int
        As for `row_kernel`.
    ROWS : int
        Sums that are formed side by side, a multiple of PARTS.
    NEAR : int
        How many factors, those of such sums for one pair or for several, always lie within two vector registers; or 0.
    """
    TURN, PAIRS = NEAR or ROWS, max(1, NEAR // ROWS)
    SIZE = carrier_of(KIND).bitwidth // 8
    REACH, REGISTERS = 2 * BYTES // SIZE, 2 * BYTES // register_size(SIZE)

    @compiled
    def kernel(weight, panels, first, last, cuts, size, in_group, strides, combs, bases, offsets, window, turned):
        for job in range(first, last):
            group, cut = job // cuts, job % cuts
            for start in range(0, in_group, CHANNELS_IN):
                end = min(start + CHANNELS_IN, in_group)
                for q in range(combs.shape[0]):
                    comb = combs[q]
                    height, above, taps = comb.height, comb.pairs[0] * comb.pairs[1], comb.pairs[2]
                    blocks, most = (height + ROWS - 1) // ROWS, max(1, DEPTH // max(taps * PARTS, 1))
                    low, high = cut * BLOCKS, min((cut + 1) * BLOCKS, blocks)
                    for row in range(above):
                        for c in range(start, end):
                            src = (group * strides[0] + c * strides[1]) * PARTS
                            turn_at = row * in_group + c
                            done = turn_at // most * most
                            turns_at = min(most, above * in_group - done)
                            for block in range(low, high):
                                at = done * blocks + block * turns_at + turn_at - done
                                at = group * size + comb.panel + at * taps * PARTS * ROWS
                                name = comb.bases + (block * above + row) * (taps // PAIRS)
                                for k in range(name, name + taps // PAIRS):
                                    base = src + entry(bases, k)
                                    if NEAR and base + REACH <= weight.size:  # none is read beyond the end
                                        factor = gather(REGISTERS, weight, base, 0, load(TURN, offsets, k * TURN), 0)
                                        store(panels, at, widen(KIND, factor))
                                        at += TURN
                                        continue
                                    for of in range(PARTS):
                                        for i in range(TURN):
                                            word = load_alone(weight, base + (entry(offsets, k * TURN + i) ^ of))
                                            factor = widen(KIND, word)
                                            if (i % PARTS > of) if ADJOINT else (of > i % PARTS):
                                                factor = -factor
                                            store_alone(panels, at + i, factor)
                                        at += TURN

    return kernel


@cache
def turned_panel_kernel(KIND: int, ROWS: int) -> Any:  # noqa: N803
    """Return the kernel that does so where sums side by side are always channels.

    The taps of ROWS channels are turned into rows of channels, which are what is multiplied together.

    Parameters
    ----------
    KIND, ROWS : int
        As for `panel_kernel`.
    """
    LANES = BYTES * 8 // carrier_of(KIND).bitwidth

    @compiled
    def kernel(weight, panels, first, last, cuts, size, in_group, strides, combs, bases, offsets, window, turned):
        height, apart = combs[0].height, strides[2]
        blocks, pitch = (height + ROWS - 1) // ROWS, (window + LANES - 1) // LANES * LANES
        for job in range(first, last):
            group, cut = job // cuts, job % cuts
            low, high = cut * BLOCKS, min((cut + 1) * BLOCKS, blocks)
            for c in range(in_group):
                for block in range(low, high):
                    src, dst = group * strides[0] + c * strides[1] + block * ROWS * apart, (block - low) * ROWS * pitch
                    there = min(ROWS, height - block * ROWS)
                    if there == ROWS and src + (ROWS - 1) * apart + pitch <= weight.size:  # none is read beyond the end
                        for tap in range(0, pitch, LANES):
                            for i in range(ROWS):  # the taps of the next channel lie far from these
                                fetch(weight, src + tap + i * apart + strides[1])
                            transpose(ROWS, LANES, weight, src + tap, apart, turned, dst + tap * ROWS)
                    else:
                        for i in range(ROWS):
                            for tap in range(window):
                                word = load_alone(weight, src + min(i, there - 1) * apart + tap)
                                store_alone(turned, dst + tap * ROWS + i, word)
                for q in range(combs.shape[0]):
                    comb = combs[q]
                    above, taps = comb.pairs[0] * comb.pairs[1], comb.pairs[2]
                    most = max(1, DEPTH // max(taps, 1))
                    for row in range(above):
                        turn_at = row * in_group + c
                        done = turn_at // most * most
                        turns_at = min(most, above * in_group - done)
                        begin = group * size + comb.panel + (done * blocks + turn_at - done) * taps * ROWS
                        for block in range(low, high):
                            at, src = begin + block * turns_at * taps * ROWS, (block - low) * ROWS * pitch
                            for k in range(taps):
                                # The first block's factors begin with those of the first channel: with their taps.
                                tap = entry(bases, comb.bases + row * taps + k)
                                factor = load(ROWS, turned, src + tap * ROWS)
                                fetch_to_write(panels, at + (taps + k) * ROWS)  # the next channel's
                                store(panels, at + k * ROWS, widen(KIND, factor))

    return kernel


@compiled
def locate(comb, axes, begin, apart, room, target, source, straight, present, even):
    """Find where a tile of outputs lies and what it sums; return whether every pair of its outputs exists.

    Fills, for each position of the tile, where its output lies and, for each pair, where the sample does; for each
    pair and vector whether these samples are neighbours that may be read at once, and which of them there are; for each
    vector whether its outputs all exist and lie `apart` from the next.
    """
    positions, counts, pairs, places = comb.positions, comb.counts, comb.pairs, comb.places
    size_in, size_out, steps, place_steps, pair_steps, strides_in, strides_out = axes
    lanes, between = target.size // even.size, strides_in[2]
    rest, jw = begin // counts[2], begin % counts[2]
    rest, jh = rest // counts[1], rest % counts[1]
    image, jd = rest // counts[0], rest % counts[0]
    complete = True
    present[:] = 0
    for v in range(even.size):
        in_order = True
        for lane in range(lanes):
            p = v * lanes + lane
            inside = begin + p < positions
            row = (jd * steps[0] * size_out[1] + jh * steps[1]) * size_out[2] + jw * steps[2]
            target[p] = image * strides_out[0] + row * strides_out[2]
            in_order &= inside and target[p] == target[v * lanes] + lane * apart
            pair, front = 0, places[2] + jw * place_steps[2]
            for a in range(pairs[0]):
                d = places[0] + jd * place_steps[0] + a * pair_steps[0]
                for b in range(pairs[1]):
                    h = places[1] + jh * place_steps[1] + b * pair_steps[1]
                    there = inside and 0 <= d < size_in[0] and 0 <= h < size_in[1]
                    line = image * strides_in[0] + (d * size_in[1] + h) * size_in[2] * between
                    for k in range(pairs[2]):
                        w = front + k * pair_steps[2]
                        exists = there and 0 <= w < size_in[2]
                        source[pair * target.size + p] = line + w * between
                        present[pair, v] |= int(exists) << lane
                        complete &= exists or not inside
                        pair += 1
            jw += 1
            if jw == counts[2]:
                jw, jh = 0, jh + 1
            if jh == counts[1]:
                jh, jd = 0, jd + 1
            if jd == counts[0]:
                jd, image = 0, image + 1
        even[v] = in_order
    for pair in range(pairs[0] * pairs[1] * pairs[2]):
        for v in range(even.size):
            begun = pair * target.size + v * lanes
            low = load_alone(source, begun)
            neighbours = 0 <= low <= room
            for lane in range(lanes):
                neighbours &= load_alone(source, begun + lane) == low + lane
            straight[pair, v] = neighbours
            if not neighbours:  # what is not there is read from the front of the array, and not used
                for lane in range(lanes):
                    if not (present[pair, v] >> lane) & 1:
                        store_alone(source, begun + lane, 0)
    return complete


@cache
def tile_kernel(KIND: int, PARTS: int, LANES: int, ROWS: int, RUN: int, EXACT: int) -> Any:  # noqa: N803
    """Return the kernel that forms the sums of a tile of outputs, for many channels and phases side by side.

    Parameters
    ----------
    KIND, PARTS : int
        As for `row_kernel`.
    LANES, ROWS : int
        Numbers of a vector, and sums that are formed side by side for each.
    RUN : int
        How many of these sums are always neighbours in the output.
    EXACT : int
        0 if a sample that is not there counts as 0, which is right as long as all factors are finite; 1 if it does not
        count at all. With 0, `doubt` becomes NaN in some lane if a sum that lacks a sample is not finite, for then a
        factor may not be.
    """
    TILE, FEWER = VECTORS * LANES, VECTORS - 1

    @compiled
    def kernel(
        x, panels, bias, out, first, last, cuts, spans, in_group, out_group, combs, outputs, axes, room, zero,
        right, masks, sums, turned, target, source, straight, present, complete, even, doubt,
    ):  # fmt: skip
        # Bounds that LLVM does not know: it would write out all turns of these loops, which only takes it time.
        vectors, lanes = even.shape[1], target.shape[1] // even.shape[1]
        between_in, between_out = axes[5][1], axes[6][1]
        for job in range(first, last):
            cut, rest = job % cuts, job // cuts
            group, begin = rest // spans, rest % spans * (TILE * TILES)
            for q in range(combs.shape[0]):
                comb = combs[q]
                height, positions = comb.height, comb.positions
                tiles = min(TILES, (positions - begin + TILE - 1) // TILE)
                for t in range(tiles):
                    complete[t] = locate(
                        comb, axes, begin + t * TILE, RUN // PARTS, room,
                        target[t], source[t], straight[t], present[t], even[t],
                    )  # fmt: skip
                taps = comb.pairs[2]
                turns = comb.pairs[0] * comb.pairs[1] * in_group if taps > 0 else 0
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
                        for part in range(tiles * taps):
                            t, k = part // taps, part % taps
                            pair, row = above * taps + k, (begun - done) * taps + k
                            factors, places = right[t], source[t]
                            for v in range(vectors):
                                begun_at, dst = pair * TILE + v * LANES, row * PARTS * TILE + v * LANES
                                there = present[t, pair, v]
                                if PARTS == 1 and straight[t, pair, v]:
                                    for c in range(channels):
                                        value = widen(KIND, load(LANES, x, source[t, begun_at] + at + c * between_in))
                                        store(factors, dst + c * taps * TILE, where_bits(there, value))
                                elif between_in == 1 and channels * PARTS >= LANES:
                                    # The samples of a position follow one another: squares of them are transposed.
                                    j = 0
                                    while True:
                                        for lane in range(lanes):
                                            src = (load_alone(places, begun_at + lane) + at) * PARTS + j
                                            fetch(x, src + LANES)
                                            store(turned, lane * LANES, widen(KIND, load(LANES, x, src)))
                                        transpose(LANES, LANES, turned, 0, LANES, turned, LANES * LANES)
                                        for lane in range(lanes):
                                            c, of = (j + lane) // PARTS, (j + lane) % PARTS
                                            value = where_bits(there, load(LANES, turned, (LANES + lane) * LANES))
                                            store(factors, dst + (c * taps * PARTS + of) * TILE, value)
                                        if j + LANES >= channels * PARTS:
                                            break
                                        j = min(j + LANES, channels * PARTS - LANES)
                                else:
                                    for lane in range(lanes):
                                        src = (source[t, begun_at + lane] + at) * PARTS
                                        for c in range(channels):
                                            for of in range(PARTS):
                                                word = widen(KIND, load_alone(x, src + c * between_in * PARTS + of))
                                                place = dst + (c * taps * PARTS + of) * TILE + lane
                                                store_alone(factors, place, word if (there >> lane) & 1 else zero)
                                if EXACT:
                                    for c in range(channels):
                                        for of in range(PARTS):
                                            place = ((row + c * taps) * PARTS + of) * VECTORS + v
                                            masks[t, place] = present[t, pair, v]
                    for t in range(tiles):
                        for block in range(low, high):
                            held = ((block - low) * TILES + t) * ROWS * TILE if turns > most else 0
                            totals = sums[held : held + ROWS * TILE]
                            if done == 0:
                                for i in range(ROWS):
                                    m = comb.outputs + min(block * ROWS + i, height - 1)
                                    channel = group * out_group * PARTS + outputs[m, 0]
                                    value = widen(KIND, bias[channel]) if bias.size else zero
                                    for v in range(VECTORS):
                                        store(totals, i * TILE + v * LANES, splat(LANES, value))
                            at = comb.panel + (done * blocks * taps * PARTS + block * rows) * ROWS
                            few = positions - begin - t * TILE <= TILE - LANES  # of the last tile
                            if rows > 0 and few:
                                add_products(
                                    LANES, ROWS, FEWER, EXACT, rows, panels[group], at, right[t], masks[t], totals
                                )
                            elif rows > 0:
                                add_products(
                                    LANES, ROWS, VECTORS, EXACT, rows, panels[group], at, right[t], masks[t], totals
                                )
                            if until == turns:
                                if not EXACT and not complete[t]:
                                    seen = load(TILE, doubt, 0)  # 0 times what is not finite is NaN
                                    for i in range(0, ROWS * TILE, TILE):
                                        seen = add_product(KIND, load(TILE, totals, i), splat(TILE, zero), seen)
                                    store(doubt, 0, seen)
                                for i in range(0, min(ROWS, height - block * ROWS), RUN):
                                    away = outputs[comb.outputs + block * ROWS + i, 1]
                                    away += group * out_group * between_out * PARTS
                                    for v in range(vectors):
                                        transpose(RUN, LANES, totals, i * TILE + v * LANES, TILE, turned, 0)
                                        if even[t, v]:
                                            dst = target[t, v * LANES] * PARTS + away
                                            for j in range(0, RUN * LANES, LANES):
                                                nothing = splat(LANES, zero)
                                                total = add_product(KIND, nothing, nothing, load(LANES, turned, j))
                                                store(out, dst + j, narrow(KIND, total))
                                        else:
                                            p = v * LANES
                                            for j in range(min(LANES, positions - begin - t * TILE - p)):
                                                nothing = splat(RUN, zero)
                                                total = add_product(KIND, nothing, nothing, load(RUN, turned, j * RUN))
                                                store(out, target[t, p + j] * PARTS + away, narrow(KIND, total))

    return kernel
