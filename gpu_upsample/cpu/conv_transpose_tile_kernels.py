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
from gpu_upsample.cpu.vectors import load, load_apart, pointer, splat, store, store_apart, where_bits

COMB = np.dtype(
    [
        ("positions", np.int64),  # outputs of each of its sums
        ("counts", np.int64, 3),  # outputs along each axis
        ("pairs", np.int64, 3),  # pairs along each axis
        ("places", np.int64, 3),  # first place on each axis
        ("lowest", np.int64, 3),  # along each axis, how far the first of the outputs of a position lies from it
        ("highest", np.int64, 3),  # and the last
        ("turns", np.int64),  # how many turns are multiplied at once: a turn is the pairs along the last axis
        ("begin", np.int64),  # its teeth
        ("end", np.int64),
    ]
)
"""One comb of each axis, taken together, as the kernels read them."""

TOOTH = np.dtype(
    [
        ("panel", np.int64),  # where its panel begins
        ("height", np.int64),  # sums side by side
        ("begins", np.int64, 3),  # its first pair along each axis
        ("pairs", np.int64, 3),  # pairs along each axis
        ("outputs", np.int64),  # where its rows in the table of outputs begin
        ("bases", np.int64),  # where its numbers in the table of bases begin
    ]
)
"""One tooth of each of these, taken together."""

CHANNELS = 8
"""Channels of which samples are brought into rows at once: lines of many that lie a power of two apart would drive each
other from the cache before the next pair reads them."""

CHANNEL, AWAY, FIRST, COLUMNS = 0, 1, 2, 5
"""Columns of the table of outputs, which has a row for each of the sums side by side: its scalar of a group's bias, how
far it lies from a position, and how far along each axis."""


@compiled
def locate(
    comb, axes, begin, apart, step, room, target, corners, ahead, source, runs, present, behind, bases, origins, firsts,
    exists,
):  # fmt: skip
    """Find where a tile of outputs lies and what it sums; return whether every pair of its outputs exists.

    Fills, for each position of the tile, where it lies in the output, where on each axis, and of how many positions of
    the vector from there on the outputs all exist and lie `apart` from the last; for each pair and vector which of its
    samples there are, in how many runs they lie `step` from the next, if these may be read at once, or else 0, and
    where each run would begin in the first lane, or else where each sample lies; for each vector the lanes from each
    run on.

    There is room for where the first pair of each lane lies, and each run, and that on each axis, and for the lanes for
    which a pair of an axis exists.
    """
    positions, counts, pairs, places = comb.positions, comb.counts, comb.pairs, comb.places
    lowest, highest = comb.lowest, comb.highest
    size_in, size_out, steps, place_steps, pair_steps, strides_in, strides_out = axes
    vectors, lanes = behind.shape
    rest, jw = begin // counts[2], begin % counts[2]
    rest, jh = rest // counts[1], rest % counts[1]
    image, jd = rest // counts[0], rest % counts[0]
    complete = True
    for v in range(vectors):
        in_row, inside, number = jw + lanes <= counts[2], 0, 0
        for lane in range(lanes):
            p = v * lanes + lane
            whole = begin + p < positions
            inside |= int(whole) << lane
            for axis, j in enumerate((jd, jh, jw)):
                firsts[axis, lane] = places[axis] + j * place_steps[axis]
                corners[axis, p] = corner = j * steps[axis]
                whole &= corner + lowest[axis] >= 0 and corner + highest[axis] < size_out[axis]
            output = (corners[0, p] * size_out[1] + corners[1, p]) * size_out[2] + corners[2, p]
            target[p] = image * strides_out[0] + output
            ahead[p] = int(whole)
            sample = (firsts[0, lane] * size_in[1] + firsts[1, lane]) * size_in[2] + firsts[2, lane]
            bases[lane] = image * strides_in[0] + sample
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
        for p in range(v * lanes + lanes - 2, v * lanes - 1, -1):
            if ahead[p] and target[p + 1] == target[p] + apart:
                ahead[p] += ahead[p + 1]
        at = 0
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
                line = (a * pair_steps[0] * size_in[1] + b * pair_steps[1]) * size_in[2]
                for k in range(pairs[2]):
                    away = line + k * pair_steps[2]
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
    to, apart, zero,
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
    else:
        for lane in range(lanes):
            src = (load_alone(places, begun + lane) + at) * PARTS
            for c in range(channels):
                for of in range(PARTS):
                    word = widen(KIND, load_alone(x, src + c * between * PARTS + of))
                    place = to + c * apart + of * (LANES * VECTORS) + lane
                    store_alone(factors, place, word if (there >> lane) & 1 else zero)


@inlined
def start_sums(KIND, LANES, ROWS, bias, channel, outputs, below, sums, zero):  # noqa: N803
    """Begin a block of sums, with the bias of their channels, or with 0.

    Parameters
    ----------
    KIND, LANES, ROWS : int
        As for `tile_kernel`.
    bias, channel : array, int
        The bias, empty if there is none, and the first scalar of the group.
    outputs, below : pointer, int
        The first of the block's rows in the table of outputs, and how many rows follow that: the last is repeated.
    sums, zero : pointer, scalar
        The sums; 0.
    """
    for i in range(ROWS):
        value = zero
        if bias.size:
            value = widen(KIND, bias[channel + load_alone(outputs, min(i, below) * COLUMNS + CHANNEL)])
        for p in range(i * VECTORS * LANES, (i + 1) * VECTORS * LANES, LANES):
            store(sums, p, splat(LANES, value))


@inlined
def add_turns(
    PARTS, LANES, ROWS, EXACT, comb, tooth, done, until, in_group, panel, at, factors, masks, sums, few,  # noqa: N803
):  # fmt: skip
    """Add the products of a tooth's pairs among those that have been brought into rows to a block of its sums.

    Parameters
    ----------
    PARTS, LANES, ROWS, EXACT : int
        As for `tile_kernel`.
    comb, tooth : record
        The tooth, and its comb.
    done, until : int
        The turns that have been brought into rows: the pairs along the last axis, for one of the pairs along the
        others, and one channel.
    in_group : int
        Channels of the input.
    panel, at : pointer, int
        The weight in panels, and where that of the block begins.
    factors, masks, sums : pointer
        The rows, which positions take part in each, and the sums.
    few : bool
        Whether there are no positions in the last vector.
    """
    taps, own, turn = comb.pairs[2], tooth.pairs, done
    own_taps = own[2] * PARTS
    whole = own[0] == comb.pairs[0] and own[1] == comb.pairs[1]
    while turn < until and own_taps > 0:
        end, own_turn, among = until, turn, True
        if not whole:
            above = turn // in_group
            end = min(until, (above + 1) * in_group)
            a, b = above // comb.pairs[1] - tooth.begins[0], above % comb.pairs[1] - tooth.begins[1]
            among = 0 <= a < own[0] and 0 <= b < own[1]
            own_turn += (a * own[1] + b - above) * in_group
        if among:
            row = ((turn - done) * taps + tooth.begins[2]) * PARTS
            add_products(
                LANES, ROWS, EXACT, (end - turn) * own_taps, panel, at + own_turn * own_taps * ROWS, factors, masks,
                row, own_taps, taps * PARTS, sums, few,
            )  # fmt: skip
        turn = end


@inlined
def write_existing(KIND, RUN, sums, at, out, dst, outputs, corners, p, tile, size, zero):  # noqa: N803
    """Write those of RUN sums, from `at` on, whose outputs exist; for the rest, as for `write_sums`.

    Parameters
    ----------
    dst : int
        Where the first of the outputs lies.
    p : int
        The position that they belong to.
    """
    for i in range(RUN):
        there = True
        for axis in range(3):
            first = load_alone(outputs, i * COLUMNS + FIRST + axis)
            there &= 0 <= load_alone(corners, axis * tile + p) + first < size[axis]
        if there:
            total = add_product(KIND, zero, zero, load_alone(sums, at + i))
            store_alone(out, dst + i, narrow(KIND, total))


@inlined
def write_sums(
    KIND, PARTS, LANES, RUN, APART, sums, i, pitch, out, outputs, away, places, p, number, ahead, corners, tile, size,  # noqa: N803
    turned, zero,
):  # fmt: skip
    """Write RUN rows of sums side by side, of a vector of positions, to where the outputs lie.

    Parameters
    ----------
    KIND, PARTS, LANES, RUN, APART : int
        As for `tile_kernel`.
    sums, i, pitch : pointer, int, int
        The sums, where those of the first row begin, and numbers from one row to the next.
    out : pointer
        The output.
    outputs, away : pointer, int
        The rows of the table of outputs, and scalars to be added to where they lie.
    places, p, number : pointer, int, int
        Where each position lies in the output, the first of the vector, and how many there are from there on.
    ahead : pointer
        Of how many positions from each on the outputs all exist and lie APART from the last.
    corners, tile : pointer, int
        Where each position lies on each axis, and how many positions there are.
    size : tuple of int
        Size of the output along each axis.
    turned, zero : pointer, scalar
        Room for the sums in their order; 0.
    """
    transpose(RUN, LANES, sums, i, pitch, turned, 0)
    to = away + load_alone(outputs, AWAY)
    # To add 0 leaves no -0.0 where all terms are zero, or where there are none.
    none, short = splat(LANES, zero), splat(RUN, zero)
    if APART == RUN and load_alone(ahead, p) == LANES:
        dst = load_alone(places, p) * PARTS + to
        for at in range(0, RUN * LANES, LANES):
            store(out, dst + at, narrow(KIND, add_product(KIND, none, none, load(LANES, turned, at))))
    elif APART > RUN:
        j = 0
        while j < number:
            dst, along = load_alone(places, p + j) * PARTS + to, load_alone(ahead, p + j)
            begin, end = j * RUN, (j + along) * RUN
            for at in range(begin // LANES * LANES, end, LANES):
                total = narrow(KIND, add_product(KIND, none, none, load(LANES, turned, at)))
                store_apart(RUN, APART, out, dst + (at // RUN - j) * APART, total, begin - at, end - at)
            if along == 0:
                write_existing(KIND, RUN, turned, begin, out, dst, outputs, corners, p + j, tile, size, zero)
            j += max(along, 1)
    else:
        for j in range(number):
            dst = load_alone(places, p + j) * PARTS + to
            if load_alone(ahead, p + j):
                store(out, dst, narrow(KIND, add_product(KIND, short, short, load(RUN, turned, j * RUN))))
            else:
                write_existing(KIND, RUN, turned, j * RUN, out, dst, outputs, corners, p + j, tile, size, zero)


@cache
def tile_kernel(KIND: int, PARTS: int, LANES: int, STEP: int, ROWS: int, RUN: int, APART: int, EXACT: int) -> Any:  # noqa: N803
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
    APART : int
        How far those of neighbouring positions lie apart, where they are written in vectors, with what lies between
        left alone; or RUN.
    EXACT : int
        0 if a sample that is not there counts as 0, which is right as long as all factors are finite; 1 if it does not
        count at all. With 0, a job in which a sum that lacks a sample is not finite is marked as doubtful, for then a
        factor may not be. With 1, only these are done.
    """
    TILE = VECTORS * LANES

    @Kernel
    def kernel(first, last, arguments, scratch):
        (
            x, panels, bias, out, doubtful, cuts, spans, in_group, out_group, combs, teeth, outputs, axes, room, zero,
            right, masks, sums, turned, target, corners, ahead, source, runs, present, complete, behind, bases, origins,
            firsts, exists, doubt,
        ) = unpack(arguments, scratch)  # fmt: skip
        # Bounds that LLVM does not know: it would write out all turns of these loops, which only takes it time.
        together, vectors, lanes = behind.shape
        between_in, between_out = axes[5][1], axes[6][1]
        samples, goal, square = pointer(x, 0), pointer(out, 0), pointer(turned, 0)
        for job in range(first, last):
            if EXACT and not doubtful[job]:
                continue
            doubt[:] = 0
            cut, rest = job % cuts, job // cuts
            group, begin = rest // spans, rest % spans * (TILE * together)
            channel = group * out_group * PARTS
            for q in range(combs.shape[0]):
                comb = combs[q]
                positions = comb.positions
                tiles = min(together, (positions - begin + TILE - 1) // TILE)
                for t in range(tiles):
                    complete[t] = locate(
                        comb, axes, begin + t * TILE, APART // PARTS, STEP, room,
                        target[t], corners[t], ahead[t], source[t], runs[t], present[t], behind[t],
                        bases, origins, firsts, exists,
                    )  # fmt: skip
                taps, most = comb.pairs[2], comb.turns
                turns = comb.pairs[0] * comb.pairs[1] * in_group if taps > 0 else 0
                for done in range(0, max(turns, 1), most):
                    until = min(done + most, turns)
                    for above in range(done // in_group, (until + in_group - 1) // in_group):
                        begun = max(done, above * in_group)
                        end = min(until, (above + 1) * in_group)
                        for turn in range(begun, end, CHANNELS):
                            channels = min(CHANNELS, end - turn)
                            at = (group * in_group + turn - above * in_group) * between_in
                            for t in range(tiles):
                                factors = pointer(right, t * right.shape[1])
                                places = pointer(source, t * source.shape[1])
                                for k in range(taps):
                                    pair, row = above * taps + k, (turn - done) * taps + k
                                    for v in range(vectors):
                                        there, to = present[t, pair, v], row * PARTS * TILE + v * LANES
                                        later = pointer(behind, (t * vectors + v) * lanes)
                                        gather_factors(
                                            KIND, PARTS, LANES, STEP, lanes, samples, places, pair * TILE + v * LANES,
                                            at, between_in, channels, there, runs[t, pair, v], later, factors, to,
                                            taps * PARTS * TILE, zero,
                                        )  # fmt: skip
                                        if EXACT:
                                            for c in range(channels):
                                                for of in range(row * PARTS, (row + 1) * PARTS):
                                                    masks[t, (of + c * taps * PARTS) * VECTORS + v] = there
                    held = 0
                    for t in range(tiles):
                        goals, further = pointer(target, t * target.shape[1]), pointer(ahead, t * ahead.shape[1])
                        on_axes, factors = pointer(corners, t * 3 * TILE), pointer(right, t * right.shape[1])
                        panel, chosen = pointer(panels, group * panels.shape[1]), pointer(masks, t * masks.shape[1])
                        few = positions - begin - t * TILE <= TILE - LANES  # of the last tile
                        for n in range(comb.begin, comb.end):
                            tooth = teeth[n]
                            height, own_turns = tooth.height, tooth.pairs[0] * tooth.pairs[1] * in_group
                            blocks = (height + ROWS - 1) // ROWS
                            for block in range(blocks * cut // cuts, blocks * (cut + 1) // cuts):
                                totals = pointer(sums, held * ROWS * TILE if turns > most else 0)
                                held += 1
                                if done == 0:
                                    first_out = pointer(outputs, (tooth.outputs + block * ROWS) * COLUMNS)
                                    below = height - 1 - block * ROWS
                                    start_sums(KIND, LANES, ROWS, bias, channel, first_out, below, totals, zero)
                                at = tooth.panel + block * own_turns * tooth.pairs[2] * PARTS * ROWS
                                add_turns(
                                    PARTS, LANES, ROWS, EXACT, comb, tooth, done, until, in_group, panel, at, factors,
                                    chosen, totals, few,
                                )  # fmt: skip
                                if until < turns:
                                    continue
                                if not EXACT and not complete[t]:
                                    seen = load(LANES, doubt, 0)  # 0 times what is not finite is NaN
                                    for i in range(0, ROWS * TILE, TILE):  # such a factor shows in all sums of its row
                                        seen = add_product(KIND, load(LANES, totals, i), splat(LANES, zero), seen)
                                    store(doubt, 0, seen)
                                for i in range(0, min(ROWS, height - block * ROWS), RUN):
                                    written = pointer(outputs, (tooth.outputs + block * ROWS + i) * COLUMNS)
                                    for v in range(vectors):
                                        p = v * LANES
                                        left = min(LANES, positions - begin - t * TILE - p)
                                        write_sums(
                                            KIND, PARTS, LANES, RUN, APART, totals, i * TILE + p, TILE, goal, written,
                                            channel * between_out, goals, p, left, further, on_axes, TILE, axes[1],
                                            square, zero,
                                        )  # fmt: skip
            for lane in range(lanes):
                if not EXACT and doubt[lane] != doubt[lane]:
                    doubtful[job] = True

    return kernel
