"""Sums along a line where the windows of every thread's lanes lie alike, and have the same weights.

So a thread loads each sample once, for all of its lanes, and all threads load the same weights. The threads at the two
ends of a line, where windows are cut off, have weights of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.filter_spec import FilterSpec


def build_span(
    machine: Any, spec: FilterSpec, index: Any, pieces: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return the two functions of the form (see `filter_columns.py`)."""
    add_product, widen, plus, quotient = machine.add_product, machine.widen, machine.plus, machine.quotient
    memory, load, load_near, load_lanes = machine.memory, machine.load, machine.load_near, machine.load_lanes

    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    real, carrier = arithmetic.accumulator_of(RESULT), arithmetic.carrier_of(SOURCE)
    START = arithmetic.SCALARS[RESULT].start
    LANES, WIDTH, WEIGHTS, FILL, PIXEL = spec.lanes, spec.width, spec.weights, spec.fill, spec.inner
    PHASES, STEP, SHIFT = spec.phases, spec.step, spec.shift
    VECTOR, LEAD, REACH = spec.vector, spec.lead, spec.loaded
    PERIOD, SHARED = PHASES * PIXEL, PHASES * WEIGHTS
    SOME, SOME_REACH = spec.together, spec.reach(spec.together)

    @machine.inline
    def prepare(line):
        """Find where the thread's samples begin in a line."""
        first = plus(index(line.span_begin), index(quotient(line.j, index(PERIOD)) * index(STEP * PIXEL)))
        return first, line

    @machine.inline
    def sum_line(x, begin, state, row):
        first, line = state
        if not line.inside:
            sum_end(x, begin, first, line, row)
            return
        raw, together = memory.local.array(REACH, carrier), memory.local.array(VECTOR, carrier)
        factors = memory.local.array(SHARED, real)
        first = plus(begin, index(first - index(LEAD)))
        for k in range(0, REACH, VECTOR):
            if VECTOR == 1:
                raw[k] = load_near(x, first, k)
            else:
                load_lanes(x, plus(first, index(k)), together, VECTOR)
                for n in range(VECTOR):
                    raw[k + n] = together[n]
        load_lanes(line.weight, index(0), factors, SHARED)
        for lane in range(LANES):
            row[lane] = sum_window(raw, LEAD + begin_of(lane), factors, lane // PIXEL % PHASES * WEIGHTS)

    @machine.inline
    def sum_end(x, begin, first, line, row):
        """Sum at an end of the line, where windows are cut off, some lanes after others.

        Each has weights of its own. Of a sample that is not there the weight is -0.0, or 0 of an integer, and changes
        nothing. To do it for all lanes at once would take registers from the others.
        """
        raw, factors = memory.local.array(SOME_REACH, carrier), memory.local.array(WEIGHTS, real)
        first_column = index(quotient(line.j, index(PIXEL)))
        for group in range(0, LANES, SOME):
            # Always true; but the compiler, which does not know, takes one group after the other.
            if plus(line.j, index(group)) < index(line.width_out):
                for k in range(SOME_REACH):
                    place = plus(first, index(group // PERIOD * STEP * PIXEL + k))
                    inside = place < index(line.width_in)
                    raw[k] = load(x, plus(begin, place if inside else index(0))) if inside else carrier(0)
                for lane in range(SOME):
                    column = plus(first_column, index((group + lane) // PIXEL))
                    load_lanes(line.weight, own_weights(column), factors, WEIGHTS)
                    total = sum_window(raw, begin_of(lane), factors, 0)
                    if FILL:
                        outside = load(line.outside, column)
                        if outside != real(0.0):
                            total = add_product(RESULT, outside, line.fill, total)
                    row[group + lane] = total

    @machine.inline
    def own_weights(column):
        """Return where the weights of a column begin, behind those that all threads share."""
        return types.uint64(types.uint64(column) * types.uint64(WEIGHTS) + types.uint64(SHARED))

    @machine.inline
    def sum_window(raw, begin, factors, first):
        total = real(START)
        for k in range(WIDTH):
            total = add_product(RESULT, factors[first + k], widen(SOURCE, raw[begin + k * PIXEL]), total)
        return total

    @machine.inline
    def begin_of(lane):
        """Return where the window of a lane begins among the samples of its thread."""
        return (lane // PIXEL * STEP + SHIFT) // PHASES * PIXEL + lane % PIXEL

    return prepare, sum_line
