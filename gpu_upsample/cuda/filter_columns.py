"""The sums along a row of the filter kernel, in each of the forms that a specialisation may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.filter_spec import GROUP, FilterSpec
from gpu_upsample.cuda.kernels import build_split


def build_columns(machine: Any, spec: FilterSpec, index: Any) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return the function that reads what a thread must know of its columns, and the one that sums along a row."""
    add_product, widen, plus, mad, quotient = (
        machine.add_product, machine.widen, machine.plus, machine.mad, machine.quotient,
    )  # fmt: skip
    memory, load, load_near, load_lanes = machine.memory, machine.load, machine.load_near, machine.load_lanes
    split = build_split(machine, index)

    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    real, carrier = arithmetic.accumulator_of(RESULT), arithmetic.carrier_of(SOURCE)
    START = arithmetic.SCALARS[RESULT].start
    LANES, WIDTH, LEAST, FILL, INNER = spec.lanes, spec.width, spec.least, spec.fill, spec.inner
    SPAN, APART, DEALT = spec.columns == "span", spec.columns == "apart", spec.dealt
    PIXEL, PHASES, STEP, SHIFT = max(1, INNER), max(1, spec.phases), spec.step, spec.shift
    VECTOR, LEAD, REACH = spec.vector, spec.lead, spec.loaded
    SHARE, OWN = PHASES * PIXEL, LANES if APART else 1

    @machine.inline
    def window(place, inner, column_start):
        """Return the column of a place in a row, and where its window begins in a source row."""
        if INNER == 1:
            return place, index(load(column_start, place))
        column, channel = split(place, inner)
        return column, mad(index(load(column_start, column)), inner, channel)

    @machine.inline
    def prepare_span(j, between, width_out, inner, tables, limits, known):
        """Find where a thread's samples begin in a source row, and read the weights of all threads.

        Return whether all lanes of the thread lie in the span.
        """
        _, _, column_weight, column_pitch, _ = tables
        start, stop, first, begin = limits
        at, _, weight, _ = known
        at[0] = plus(index(begin), index(quotient(j, index(SHARE)) * index(STEP * PIXEL)))
        for phase in range(PHASES):
            for k in range(WIDTH):
                place = mad(plus(index(first), index(phase)), index(column_pitch), index(k))
                weight[phase * WIDTH + k] = load(column_weight, place)
        return j >= index(start) and plus(j, index(LANES)) <= index(stop)

    @machine.inline
    def prepare_own(j, between, width_out, inner, tables, limits, known):
        """Read the windows of a thread's lanes, and where they begin in a source row."""
        at, length, weight, surround = known
        column_start, column_count, column_weight, column_pitch, column_outside = tables
        for lane in range(OWN):
            place = mad(index(lane), between, j)
            if DEALT and lane == LANES - 1:  # beyond the end of the line there is nothing to store
                place = min(place, index(width_out - 1))
            column, at[lane] = window(place, inner, column_start)
            length[lane] = load(column_count, column)
            if FILL:
                surround[lane] = load(column_outside, column)
            for k in range(WIDTH):
                weight[lane * WIDTH + k] = load(column_weight, mad(column, index(column_pitch), index(k)))
        return True

    @machine.inline
    def prepare_none(j, between, width_out, inner, tables, limits, known):
        return True

    @machine.inline
    def form_sums(raw, weight, row):
        """Sum the windows of a span's lanes."""
        for lane in range(LANES):
            total = real(START)
            pixel = lane // PIXEL
            nearest = LEAD + (pixel * STEP + SHIFT) // PHASES * PIXEL + lane % PIXEL
            for k in range(WIDTH):
                sample = widen(SOURCE, raw[nearest + k * PIXEL])
                total = add_product(RESULT, weight[pixel % PHASES * WIDTH + k], sample, total)
            row[lane] = total

    @machine.inline
    def sum_span(x, begin, whole, width_in, j, inner, tables, limits, fill, known, row):
        """Load a sample once for all lanes, and sum. The lanes beyond the span, at the ends of a row, walk."""
        start, stop, _, _ = limits
        at, _, weight, _ = known
        raw, together = memory.local.array(REACH, carrier), memory.local.array(VECTOR, carrier)
        first = index(at[0] - index(LEAD))
        if whole:
            for k in range(0, REACH, VECTOR):
                if VECTOR == 1:
                    raw[k] = load_near(x, plus(begin, first), k)
                else:
                    load_lanes(x, plus(plus(begin, first), index(k)), together, VECTOR)
                    for n in range(VECTOR):
                        raw[k + n] = together[n]
            form_sums(raw, weight, row)
        else:
            for k in range(0, REACH, VECTOR):
                place = plus(first, index(k))
                place = place if place < index(width_in) else index(0)  # no lane of the span needs what lies beyond
                load_lanes(x, plus(begin, place), together, VECTOR)
                for n in range(VECTOR):
                    raw[k + n] = together[n]
            form_sums(raw, weight, row)
            place = j if j < index(start) else max(j, index(stop))
            end = min(index(start), plus(j, index(LANES))) if j < index(start) else plus(j, index(LANES))
            while place < end:
                total = walk(x, begin, place, inner, tables, fill)
                for lane in range(LANES):
                    row[lane] = total if place == plus(j, index(lane)) else row[lane]
                place = plus(place, index(1))

    @machine.inline
    def sum_apart(x, begin, whole, width_in, j, inner, tables, limits, fill, known, row):
        """Sum a window of each lane's own."""
        at, length, weight, surround = known
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
    def sum_joint(x, begin, whole, width_in, j, inner, tables, limits, fill, known, row):
        """Sum the one window of a pixel's channels."""
        at, length, weight, surround = known
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
    def sum_walk(x, begin, whole, width_in, j, inner, tables, limits, fill, known, row):
        """Sum the window of the only lane."""
        row[0] = walk(x, begin, j, inner, tables, fill)

    @machine.inline
    def sum_none(x, begin, whole, width_in, j, inner, tables, limits, fill, known, row):
        """Load the lanes as they are."""
        raw = memory.local.array(LANES, carrier)
        load_lanes(x, plus(begin, j), raw, LANES)
        for lane in range(LANES):
            row[lane] = widen(SOURCE, raw[lane])

    @machine.inline
    def walk(x, begin, place, inner, tables, fill):
        """Return the sum of the window of a place in an output row, tap by tap, in loops that are not unrolled."""
        column_start, column_count, column_weight, column_pitch, column_outside = tables
        factors = memory.local.array(GROUP, real)
        column, channel = split(place, inner)
        near = plus(begin, mad(index(load(column_start, column)), inner, channel))
        taps = index(load(column_count, column))
        stop = mad(taps, inner, near)
        tap = index(column * (index(column_pitch) if SPAN else index(GROUP)))
        total = real(START)
        if not SPAN:
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
        return total

    # Functions for each form, and only these are inlined: Numba copies all variables of a function with its blocks.
    forms: dict[str, tuple[Callable[..., Any], Callable[..., None]]] = {
        "span": (prepare_span, sum_span),
        "apart": (prepare_own, sum_apart),
        "joint": (prepare_own, sum_joint),
        "walk": (prepare_none, sum_walk),
        "none": (prepare_none, sum_none),
    }
    return forms[spec.columns]
