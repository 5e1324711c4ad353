"""The CPU kernel of long sums of a transposed convolution: it forms them in tiles, of many channels and phases.

A tile is some neighbouring outputs of a comb. Its samples become the rows of one factor, those of a panel of the weight
are the other: what is left is a product of matrices, with terms in the same order as row by row.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.arithmetic import add_product, narrow, widen
from gpu_upsample.cpu.compiled import Kernel, compiled, inlined
from gpu_upsample.cpu.permute import transpose
from gpu_upsample.cpu.tiles import VECTORS, add_products, load_alone, store_alone
from gpu_upsample.cpu.vectors import fetch, load, load_apart, pointer, splat, store, where_bits

COMB = np.dtype(
    [
        ("panel", np.int64),  # where its panel begins
        ("length", np.int64),  # rows of the panel: products of a sum
        ("height", np.int64),  # sums side by side
        ("positions", np.int64),  # outputs of each of these
        ("counts", np.int64, 3),  # outputs along each axis
        ("pairs", np.int64, 3),  # pairs along each axis
        ("places", np.int64, 3),  # first place on each axis
        ("turns", np.int64),  # how many turns are multiplied at once: a turn is the pairs along the last axis
        ("outputs", np.int64),  # where its rows in the table of outputs begin
        ("bases", np.int64),  # where its numbers in the table of bases begin
    ]
)
"""One comb of each axis, taken together, as the kernels read them."""


@compiled
def locate(
    comb, axes, begin, apart, step, room, target, source, runs, present, even, behind, bases, origins, firsts, exists
):  # fmt: skip
    """Find where a tile of outputs lies and what it sums; return whether every pair of its outputs exists.

    Fills, for each position of the tile, where its output lies; for each pair and vector which of its samples there
    are, in how many runs they lie `step` from the next, if these may be read at once, or else 0, and where each run
    would begin in the first lane, or else where each sample lies; for each vector the lanes from each run on, and
    whether its outputs all exist and lie `apart` from the next.

    There is room for where the first pair of each lane lies, and each run, and that on each axis, and for the lanes for
    which a pair of an axis exists.
    """
    positions, counts, pairs, places = comb.positions, comb.counts, comb.pairs, comb.places
    size_in, size_out, steps, place_steps, pair_steps, strides_in, strides_out = axes
    lanes, between = target.size // even.size, strides_in[2]
    rest, jw = begin // counts[2], begin % counts[2]
    rest, jh = rest // counts[1], rest % counts[1]
    image, jd = rest // counts[0], rest % counts[0]
    complete = True
    for v in range(even.size):
        in_order, in_row, inside, number = True, jw + lanes <= counts[2], 0, 0
        for lane in range(lanes):
            p = v * lanes + lane
            output = (jd * steps[0] * size_out[1] + jh * steps[1]) * size_out[2] + jw * steps[2]
            target[p] = image * strides_out[0] + output * strides_out[2]
            in_order &= begin + p < positions and target[p] == target[v * lanes] + lane * apart
            inside |= int(begin + p < positions) << lane
            for axis, j in enumerate((jd, jh, jw)):
                firsts[axis, lane] = places[axis] + j * place_steps[axis]
            sample = (firsts[0, lane] * size_in[1] + firsts[1, lane]) * size_in[2] + firsts[2, lane]
            bases[lane] = image * strides_in[0] + sample * between
            if lane == 0 or (begin + p < positions and bases[lane] != bases[lane - 1] + step):
                origins[number], behind[v, number] = bases[lane] - lane * step, (1 << lanes) - (1 << lane)
                number += 1
            jw += 1
            if jw == counts[2]:
                jw, jh = 0, jh + 1
            if jh == counts[1]:
                jh, jd = 0, jd + 1
            if jd == counts[0]:
                jd, image = 0, image + 1
        even[v], at = in_order, 0
        for axis in range(3):
            for t in range(pairs[axis]):
                away, size = t * pair_steps[axis], size_in[axis]
                if in_row and firsts[axis, 0] + away >= 0 and firsts[axis, lanes - 1] + away < size:
                    exists[at] = inside
                else:
                    exists[at] = 0
                    for lane in range(lanes):
                        exists[at] |= int(0 <= firsts[axis, lane] + away < size) << lane
                    exists[at] &= inside
                at += 1
        begun, pair = v * lanes, 0
        for a in range(pairs[0]):
            for b in range(pairs[1]):
                line = (a * pair_steps[0] * size_in[1] + b * pair_steps[1]) * size_in[2] * between
                for k in range(pairs[2]):
                    away = line + k * pair_steps[2] * between
                    there = exists[a] & exists[pairs[0] + b] & exists[pairs[0] + pairs[1] + k]
                    complete &= there == inside
                    # More runs, and samples are brought together one by one.
                    at_once = number if number <= lanes // 2 else 0
                    for run in range(at_once):
                        source[begun + run] = origins[run] + away
                        if origins[run] + away < 0 or origins[run] + away > room:
                            at_once = 0
                    if at_once == 0:  # what is not there is read from the front of the array, and not used
                        for lane in range(lanes):
                            source[begun + lane] = bases[lane] + away if (there >> lane) & 1 else 0
                    present[pair, v], runs[pair, v] = there, at_once
                    begun += target.size
                    pair += 1
    return complete


@inlined
def gather_factors(
    KIND, PARTS, LANES, STEP, lanes, x, places, begun, at, between, channels, there, runs, behind, factors,  # noqa: N803
    to, apart, turned, zero,
):  # fmt: skip
    """Bring the samples of one pair and a vector of positions into the rows that are multiplied, one for each channel.

    Parameters
    ----------
    KIND, PARTS, LANES, STEP : int
        As for `tile_kernel`.
    lanes : int
        LANES again, which LLVM does not know here: it would write out all turns of loops, which only takes it time.
    x, places : pointer
        The input, and where the sample of each position lies in it.
    begun, at : int
        The first of these places, and where the first channel begins.
    between, channels : int
        Elements between two channels, and how many channels there are.
    there : int
        A bit for each sample: whether it exists. Else it is a zero.
    runs, behind : int, pointer
        In how many runs the samples lie STEP apart, if these may be read at once, or 0; the lanes from each run on.
    factors, to, apart : pointer, int, int
        The rows, where the first one begins, and numbers from one scalar of a channel to the same one of the next.
    turned : pointer
        Room for two squares of numbers.
    zero : scalar
        What a sample is that does not exist.
    """
    none = splat(LANES, zero)
    if PARTS == 1 and runs > 0:
        for c in range(channels):
            value = load_apart(LANES, STEP, x, load_alone(places, begun) + at + c * between)
            for run in range(1, runs):
                other = load_apart(LANES, STEP, x, load_alone(places, begun + run) + at + c * between)
                value = where_bits(load_alone(behind, run), other, value)
            store(factors, to + c * apart, where_bits(there, widen(KIND, value), none))
    elif between == 1 and channels * PARTS >= LANES:
        # The samples of a position follow one another: squares of them are transposed.
        j = 0
        while True:
            for lane in range(lanes):
                src = (load_alone(places, begun + lane) + at) * PARTS + j
                fetch(x, src + LANES)
                store(turned, lane * LANES, widen(KIND, load(LANES, x, src)))
            transpose(LANES, LANES, turned, 0, LANES, turned, LANES * LANES)
            for lane in range(lanes):
                c, of = (j + lane) // PARTS, (j + lane) % PARTS
                value = where_bits(there, load(LANES, turned, (LANES + lane) * LANES), none)
                store(factors, to + c * apart + of * (LANES * VECTORS), value)
            if j + LANES >= channels * PARTS:
                break
            j = min(j + LANES, channels * PARTS - LANES)
    else:
        for lane in range(lanes):
            src = (load_alone(places, begun + lane) + at) * PARTS
            for c in range(channels):
                for of in range(PARTS):
                    word = widen(KIND, load_alone(x, src + c * between * PARTS + of))
                    place = to + c * apart + of * (LANES * VECTORS) + lane
                    store_alone(factors, place, word if (there >> lane) & 1 else zero)


@inlined
def write_sums(KIND, PARTS, LANES, RUN, sums, i, pitch, out, places, p, away, number, even, turned, zero):  # noqa: N803
    """Write RUN rows of sums side by side, of a vector of positions, to where the outputs lie.

    Parameters
    ----------
    KIND, PARTS, LANES, RUN : int
        As for `tile_kernel`.
    sums, i, pitch : pointer, int, int
        The sums, where those of the first row begin, and numbers from one row to the next.
    out, places, p : pointer, pointer, int
        The output, where each position lies in it, and the first position.
    away, number : int
        Scalars from there to the outputs of these rows, and how many positions there are.
    even : bool
        Whether the outputs of all positions follow one another.
    turned, zero : pointer, scalar
        Room for the sums in their order; 0.
    """
    transpose(RUN, LANES, sums, i, pitch, turned, 0)
    # To add 0 leaves no -0.0 where all terms are zero, or where there are none.
    if even:
        dst, none = load_alone(places, p) * PARTS + away, splat(LANES, zero)
        for j in range(0, RUN * LANES, LANES):
            store(out, dst + j, narrow(KIND, add_product(KIND, none, none, load(LANES, turned, j))))
    else:
        short = splat(RUN, zero)
        for j in range(number):
            total = add_product(KIND, short, short, load(RUN, turned, j * RUN))
            store(out, load_alone(places, p + j) * PARTS + away, narrow(KIND, total))


@cache
def tile_kernel(KIND: int, PARTS: int, LANES: int, STEP: int, ROWS: int, RUN: int, EXACT: int) -> Any:  # noqa: N803
    """Return the kernel that forms the sums of a tile of outputs, for many channels and phases side by side.

    Parameters
    ----------
    KIND, PARTS : int
        Kind of the stored scalars; scalars of an element, 2 for complex numbers.
    LANES, ROWS : int
        Numbers of a vector, and sums that are formed side by side for each.
    STEP : int
        How far the samples of neighbouring outputs lie apart, where they can be read in vectors.
    RUN : int
        How many of these sums are always neighbours in the output.
    EXACT : int
        0 if a sample that is not there counts as 0, which is right as long as all factors are finite; 1 if it does not
        count at all. With 0, a job in which a sum that lacks a sample is not finite is marked as doubtful, for then a
        factor may not be. With 1, only these are done.
    """
    TILE, FEWER = VECTORS * LANES, VECTORS - 1

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, panels, bias, out, doubtful, cuts, spans, in_group, out_group, combs, outputs, axes, room, zero,
            right, masks, sums, turned, target, source, runs, present, complete, even, behind, bases, origins, firsts,
            exists, doubt,
        ) = unpack(arguments, scratch)  # fmt: skip
        # Bounds that LLVM does not know: it would write out all turns of these loops, which only takes it time.
        vectors, lanes, together = even.shape[1], target.shape[1] // even.shape[1], right.shape[0]
        between_in, between_out = axes[5][1], axes[6][1]
        samples, goal, square = pointer(x, 0), pointer(out, 0), pointer(turned, 0)
        for job in range(first, last):
            if EXACT and not doubtful[job]:
                continue
            doubt[:] = 0
            cut, rest = job % cuts, job // cuts
            group, begin = rest // spans, rest % spans * (TILE * together)
            for q in range(combs.shape[0]):
                comb = combs[q]
                height, positions = comb.height, comb.positions
                tiles = min(together, (positions - begin + TILE - 1) // TILE)
                for t in range(tiles):
                    complete[t] = locate(
                        comb, axes, begin + t * TILE, RUN // PARTS, STEP, room,
                        target[t], source[t], runs[t], present[t], even[t], behind[t], bases, origins, firsts, exists,
                    )  # fmt: skip
                taps, most = comb.pairs[2], comb.turns
                turns = comb.pairs[0] * comb.pairs[1] * in_group if taps > 0 else 0
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
                            factors, places = pointer(right, t * right.shape[1]), pointer(source, t * source.shape[1])
                            pair, row = above * taps + k, (begun - done) * taps + k
                            for v in range(vectors):
                                there, to = present[t, pair, v], row * PARTS * TILE + v * LANES
                                later = pointer(behind, (t * vectors + v) * lanes)
                                gather_factors(
                                    KIND, PARTS, LANES, STEP, lanes, samples, places, pair * TILE + v * LANES, at,
                                    between_in, channels, there, runs[t, pair, v], later, factors, to,
                                    taps * PARTS * TILE, square, zero,
                                )  # fmt: skip
                                if EXACT:
                                    for number in range(row * PARTS, (row + channels * taps) * PARTS, taps * PARTS):
                                        for of in range(PARTS):
                                            masks[t, (number + of) * VECTORS + v] = there
                    for t in range(tiles):
                        goals = pointer(target, t * target.shape[1])
                        for block in range(low, high):
                            held = ((block - low) * together + t) * ROWS * TILE if turns > most else 0
                            totals, factors = pointer(sums, held), pointer(right, t * right.shape[1])
                            panel, chosen = pointer(panels, group * panels.shape[1]), pointer(masks, t * masks.shape[1])
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
                                add_products(LANES, ROWS, FEWER, EXACT, rows, panel, at, factors, chosen, totals)
                            elif rows > 0:
                                add_products(LANES, ROWS, VECTORS, EXACT, rows, panel, at, factors, chosen, totals)
                            if until == turns:
                                if not EXACT and not complete[t]:
                                    seen = load(LANES, doubt, 0)  # 0 times what is not finite is NaN
                                    for i in range(0, ROWS * TILE, LANES):
                                        seen = add_product(KIND, load(LANES, totals, i), splat(LANES, zero), seen)
                                    store(doubt, 0, seen)
                                for i in range(0, min(ROWS, height - block * ROWS), RUN):
                                    away = outputs[comb.outputs + block * ROWS + i, 1]
                                    away += group * out_group * between_out * PARTS
                                    for v in range(vectors):
                                        p = v * LANES
                                        left = min(LANES, positions - begin - t * TILE - p)
                                        write_sums(
                                            KIND, PARTS, LANES, RUN, totals, i * TILE + p, TILE, goal, goals, p,
                                            away, left, even[t, v], square, zero,
                                        )  # fmt: skip
            for lane in range(lanes):
                if not EXACT and doubt[lane] != doubt[lane]:
                    doubtful[job] = True

    return kernel
