"""The sums along a row of the filter kernel, in each of the forms that a specialisation may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.filter_spec import GROUP, FilterSpec
from gpu_upsample.cuda.kernels import build_split


def build_columns(
    machine: Any, spec: FilterSpec, index: Any, pieces: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return the function that reads what a thread must know of its columns, and the one that sums along a row."""
    add_product, widen, plus, mad, quotient = (
        machine.add_product, machine.widen, machine.plus, machine.mad, machine.quotient,
    )  # fmt: skip
    memory, load, load_near, load_lanes = machine.memory, machine.load, machine.load_near, machine.load_lanes
    split = build_split(machine, index)
    full_of, place_of = pieces.full, pieces.place

    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    real, carrier = arithmetic.accumulator_of(RESULT), arithmetic.carrier_of(SOURCE)
    START = arithmetic.SCALARS[RESULT].start
    load_pieces = pieces.loading(carrier)
    LANES, WIDTH, LEAST, FILL, INNER = spec.lanes, spec.width, spec.least, spec.fill, spec.inner
    APART, WEIGHTS = spec.columns == "apart", spec.weights
    PIXEL, PHASES, STEP, SHIFT = max(1, INNER), max(1, spec.phases), spec.step, spec.shift
    VECTOR, LEAD, REACH = spec.vector, spec.lead, spec.loaded
    SHARE, SHARED, OWN = PHASES * PIXEL, PHASES * WEIGHTS, LANES if APART else 1
    SOME, SOME_REACH = spec.together, spec.reach(spec.together)

    @machine.inline
    def window(place, inner, column_start):
        """Return the column of a place in a row, and where its window begins in a source row."""
        if INNER == 1:
            return place, index(load(column_start, place))
        column, channel = split(place, inner)
        return column, mad(index(load(column_start, column)), inner, channel)

    @machine.inline
    def prepare_span(j, width_out, inner, tables, span, known):
        """Find where a thread's samples begin in a source row; return whether all of its lanes lie in the span."""
        inside, begin, _ = span
        _, at, _, _, _ = known
        at[0] = plus(index(begin), index(quotient(j, index(SHARE)) * index(STEP * PIXEL)))
        return inside

    @machine.inline
    def prepare_own(j, width_out, inner, tables, span, known):
        """Read the windows of a thread's lanes, and where they begin in a source row."""
        between, at, length, weight, surround = known
        column_start, column_count, column_weight, column_pitch, column_outside = tables
        for lane in range(OWN):
            column, at[lane] = window(place_of(lane, j, between, width_out), inner, column_start)
            length[lane] = load(column_count, column)
            if FILL:
                surround[lane] = load(column_outside, column)
            for k in range(WIDTH):
                weight[lane * WIDTH + k] = load(column_weight, mad(column, index(column_pitch), index(k)))
        return True

    @machine.inline
    def prepare_none(j, width_out, inner, tables, span, known):
        """Return whether all lanes of the thread lie in the line."""
        between, _, _, _, _ = known
        return full_of(j, between, width_out)

    @machine.inline
    def sum_span(x, begin, whole, width_in, j, inner, tables, span, fill, known, row):
        """Load a sample once for all lanes, and sum."""
        _, at, _, _, _ = known
        if not whole:
            sum_ends(x, begin, at[0], width_in, j, tables, span, fill, row)
            return
        _, _, column_weight, _, _ = tables
        raw, together = memory.local.array(REACH, carrier), memory.local.array(VECTOR, carrier)
        factors = memory.local.array(SHARED, real)
        first = plus(begin, index(at[0] - index(LEAD)))
        for k in range(0, REACH, VECTOR):
            if VECTOR == 1:
                raw[k] = load_near(x, first, k)
            else:
                load_lanes(x, plus(first, index(k)), together, VECTOR)
                for n in range(VECTOR):
                    raw[k + n] = together[n]
        load_lanes(column_weight, index(0), factors, SHARED)
        for lane in range(LANES):
            row[lane] = window_sum(raw, LEAD + begin_of(lane), factors, lane // PIXEL % PHASES * WEIGHTS)

    @machine.inline
    def sum_ends(x, begin, first, width_in, j, tables, span, fill, row):
        """Sum the windows of a thread at an end of the row, where windows are cut off, some lanes after others.

        Each has weights of its own. Of a sample that is not there the weight is -0.0, or 0 of an integer, and changes
        nothing. To do it for all lanes at once would take registers from the others.
        """
        _, _, column_weight, _, column_outside = tables
        raw, factors = memory.local.array(SOME_REACH, carrier), memory.local.array(WEIGHTS, real)
        _, _, width_out = span
        first_column = index(quotient(j, index(PIXEL)))
        for group in range(0, LANES, SOME):
            if plus(j, index(group)) < index(width_out):  # always; but the compiler takes one group after the other
                for k in range(SOME_REACH):
                    place = plus(first, index(group // SHARE * STEP * PIXEL + k))
                    inside = place < index(width_in)
                    raw[k] = load(x, plus(begin, place if inside else index(0))) if inside else carrier(0)
                for lane in range(SOME):
                    column = plus(first_column, index((group + lane) // PIXEL))
                    load_lanes(column_weight, own_weights(column), factors, WEIGHTS)
                    total = window_sum(raw, begin_of(lane), factors, 0)
                    if FILL:
                        outside = load(column_outside, column)
                        if outside != real(0.0):
                            total = add_product(RESULT, outside, fill, total)
                    row[group + lane] = total

    @machine.inline
    def own_weights(column):
        """Return where the weights of a column begin, behind those that all threads share."""
        return types.uint64(types.uint64(column) * types.uint64(WEIGHTS) + types.uint64(SHARED))

    @machine.inline
    def window_sum(raw, begin, factors, first):
        total = real(START)
        for k in range(WIDTH):
            total = add_product(RESULT, factors[first + k], widen(SOURCE, raw[begin + k * PIXEL]), total)
        return total

    @machine.inline
    def begin_of(lane):
        """Return where the window of a lane begins among the samples of its thread."""
        return (lane // PIXEL * STEP + SHIFT) // PHASES * PIXEL + lane % PIXEL

    @machine.inline
    def sum_apart(x, begin, whole, width_in, j, inner, tables, span, fill, known, row):
        """Sum a window of each lane's own."""
        _, at, length, weight, surround = known
        for lane in range(LANES):
            total = real(START)
            first = plus(begin, at[lane])
            for k in range(WIDTH):
                if k < LEAST or types.uint32(k) < length[lane]:
                    if INNER:
                        value = load_near(x, first, k * PIXEL)
                    else:
                        value = load(x, mad(index(k), inner, first))
                    total = add_product(RESULT, weight[lane * WIDTH + k], widen(SOURCE, value), total)
            if FILL and surround[lane] != real(0.0):
                total = add_product(RESULT, surround[lane], fill, total)
            row[lane] = total

    @machine.inline
    def sum_joint(x, begin, whole, width_in, j, inner, tables, span, fill, known, row):
        """Sum the one window of a pixel's channels."""
        _, at, length, weight, surround = known
        raw = memory.local.array(LANES, carrier)
        first = plus(begin, at[0])
        for lane in range(LANES):
            row[lane] = real(START)
        for k in range(WIDTH):
            if k < LEAST or types.uint32(k) < length[0]:
                load_lanes(x, mad(index(k), inner, first), raw, LANES)
                for lane in range(LANES):
                    row[lane] = add_product(RESULT, weight[k], widen(SOURCE, raw[lane]), row[lane])
        if FILL and surround[0] != real(0.0):
            for lane in range(LANES):
                row[lane] = add_product(RESULT, surround[0], fill, row[lane])

    @machine.inline
    def sum_walk(x, begin, whole, width_in, j, inner, tables, span, fill, known, row):
        """Walk along the window of the only lane, in loops that are not unrolled."""
        column_start, column_count, column_weight, column_pitch, column_outside = tables
        factors = memory.local.array(GROUP, real)
        column, channel = split(j, inner)
        near = plus(begin, mad(index(load(column_start, column)), inner, channel))
        taps = index(load(column_count, column))
        stop = mad(taps, inner, near)
        tap = index(column * index(GROUP))
        total = real(START)
        following = index(index(column_pitch) * index(GROUP))  # of all columns, the first groups lie side by side
        filled = mad(index(quotient(taps, index(GROUP)) * index(GROUP)), inner, near)
        while near < filled:
            load_lanes(column_weight, tap, factors, GROUP)
            for k in range(GROUP):
                if INNER == 1:
                    value = load_near(x, near, k)
                else:
                    value = load(x, mad(index(k), inner, near))
                total = add_product(RESULT, factors[k], widen(SOURCE, value), total)
            near, tap = mad(index(GROUP), inner, near), plus(tap, following)
        while near < stop:
            total = add_product(RESULT, load(column_weight, tap), widen(SOURCE, load(x, near)), total)
            near, tap = plus(near, inner), plus(tap, index(1))
        if FILL:
            outside = load(column_outside, column)
            if outside != real(0.0):
                total = add_product(RESULT, outside, fill, total)
        row[0] = total

    @machine.inline
    def sum_none(x, begin, whole, width_in, j, inner, tables, span, fill, known, row):
        """Load the lanes as they are."""
        raw = memory.local.array(LANES, carrier)
        between, _, _, _, _ = known
        load_pieces(x, plus(begin, j), between, whole, raw)
        for lane in range(LANES):
            row[lane] = widen(SOURCE, raw[lane])

    # Functions for each form, and only these are inlined: Numba copies all variables of a function with its blocks.
    forms: dict[str, tuple[Callable[..., Any], Callable[..., None]]] = {
        "span": (prepare_span, sum_span),
        "apart": (prepare_own, sum_apart),
        "joint": (prepare_own, sum_joint),
        "walk": (prepare_none, sum_walk),
        "none": (prepare_none, sum_none),
    }
    return forms[spec.columns]
