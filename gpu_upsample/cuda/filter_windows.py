"""Sums along a line over windows of a thread's own: one of each lane, one of all lanes, or a long one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.filter_spec import GROUP, FilterSpec
from gpu_upsample.cuda.kernels import build_split


def _build_prepare(machine: Any, spec: FilterSpec, index: Any, pieces: Any, windows: int) -> Callable[..., Any]:
    """Return the function that reads the windows of a thread, for its first lanes, and keeps their weights."""
    mad, memory, load, split = machine.mad, machine.memory, machine.load, build_split(machine, index)
    place_of = pieces.place
    real = arithmetic.accumulator_of(arithmetic.kind_of(spec.result))
    WIDTH, FILL, INNER = spec.width, spec.fill, spec.inner
    WINDOWS, WEIGHTS = windows, max(1, windows * spec.width)

    @machine.inline
    def prepare(line):
        """Return where windows begin in a line, their lengths, their weights, and those of the constant around them."""
        begin, length = memory.local.array(WINDOWS, index), memory.local.array(WINDOWS, types.uint32)
        weight, outside = memory.local.array(WEIGHTS, real), memory.local.array(WINDOWS, real)
        for lane in range(WINDOWS):
            column = place_of(lane, line.j, line.between, line.width_out)
            if INNER == 1:
                begin[lane] = index(load(line.start, column))
            else:
                column, channel = split(column, line.inner)
                begin[lane] = mad(index(load(line.start, column)), line.inner, channel)
            length[lane] = load(line.count, column)
            if FILL:
                outside[lane] = load(line.outside, column)
            for k in range(WIDTH):  # a constant pitch would cost some kernels an instruction of each row
                weight[lane * WIDTH + k] = load(line.weight, mad(column, index(line.pitch), index(k)))
        return begin, length, weight, outside, line.inner, line.fill

    return prepare


def build_apart(
    machine: Any, spec: FilterSpec, index: Any, pieces: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return the form in which each lane has a window of its own (see `filter_columns.py`)."""
    add_product, widen, plus, mad = machine.add_product, machine.widen, machine.plus, machine.mad
    load, load_near = machine.load, machine.load_near
    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    real, START = arithmetic.accumulator_of(RESULT), arithmetic.SCALARS[RESULT].start
    LANES, WIDTH, LEAST, FILL, INNER = spec.lanes, spec.width, spec.least, spec.fill, spec.inner

    @machine.inline
    def sum_line(x, begin, state, row):
        first, length, weight, outside, inner, fill = state
        for lane in range(LANES):
            total = real(START)
            near = plus(begin, first[lane])
            for k in range(WIDTH):
                if k < LEAST or types.uint32(k) < length[lane]:
                    if INNER:
                        value = load_near(x, near, k * INNER)
                    else:
                        value = load(x, mad(index(k), inner, near))
                    total = add_product(RESULT, weight[lane * WIDTH + k], widen(SOURCE, value), total)
            if FILL and outside[lane] != real(0.0):
                total = add_product(RESULT, outside[lane], fill, total)
            row[lane] = total

    return _build_prepare(machine, spec, index, pieces, LANES), sum_line


def build_joint(
    machine: Any, spec: FilterSpec, index: Any, pieces: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return the form in which all lanes are channels of one pixel, with one window (see `filter_columns.py`)."""
    add_product, widen, plus, mad = machine.add_product, machine.widen, machine.plus, machine.mad
    memory, load_lanes = machine.memory, machine.load_lanes
    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    real, carrier = arithmetic.accumulator_of(RESULT), arithmetic.carrier_of(SOURCE)
    START = arithmetic.SCALARS[RESULT].start
    LANES, WIDTH, LEAST, FILL = spec.lanes, spec.width, spec.least, spec.fill

    @machine.inline
    def sum_line(x, begin, state, row):
        first, length, weight, outside, inner, fill = state
        raw = memory.local.array(LANES, carrier)
        near = plus(begin, first[0])
        for lane in range(LANES):
            row[lane] = real(START)
        for k in range(WIDTH):
            if k < LEAST or types.uint32(k) < length[0]:
                load_lanes(x, mad(index(k), inner, near), raw, LANES)
                for lane in range(LANES):
                    row[lane] = add_product(RESULT, weight[k], widen(SOURCE, raw[lane]), row[lane])
        if FILL and outside[0] != real(0.0):
            for lane in range(LANES):
                row[lane] = add_product(RESULT, outside[0], fill, row[lane])

    return _build_prepare(machine, spec, index, pieces, 1), sum_line


def build_walk(
    machine: Any, spec: FilterSpec, index: Any, pieces: Any
) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return the form in which the only lane walks along its window, in loops that are not unrolled.

    Nothing is kept for it from row to row: its window is too long for registers.
    """
    add_product, widen, plus, mad, quotient = (
        machine.add_product, machine.widen, machine.plus, machine.mad, machine.quotient,
    )  # fmt: skip
    memory, load, load_near, load_lanes = machine.memory, machine.load, machine.load_near, machine.load_lanes
    split = build_split(machine, index)
    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    real, START = arithmetic.accumulator_of(RESULT), arithmetic.SCALARS[RESULT].start
    FILL, INNER = spec.fill, spec.inner

    @machine.inline
    def prepare(line):
        return line

    @machine.inline
    def sum_line(x, begin, line, row):
        inner = line.inner
        factors = memory.local.array(GROUP, real)
        column, channel = split(line.j, inner)
        near = plus(begin, mad(index(load(line.start, column)), inner, channel))
        taps = index(load(line.count, column))
        stop = mad(taps, inner, near)
        tap = index(column * index(GROUP))
        total = real(START)
        following = index(index(line.pitch) * index(GROUP))  # of all columns, the first groups lie side by side
        filled = mad(index(quotient(taps, index(GROUP)) * index(GROUP)), inner, near)
        while near < filled:
            load_lanes(line.weight, tap, factors, GROUP)
            for k in range(GROUP):
                if INNER == 1:
                    value = load_near(x, near, k)
                else:
                    value = load(x, mad(index(k), inner, near))
                total = add_product(RESULT, factors[k], widen(SOURCE, value), total)
            near, tap = mad(index(GROUP), inner, near), plus(tap, following)
        while near < stop:
            total = add_product(RESULT, load(line.weight, tap), widen(SOURCE, load(x, near)), total)
            near, tap = plus(near, inner), plus(tap, index(1))
        if FILL:
            outside = load(line.outside, column)
            if outside != real(0.0):
                total = add_product(RESULT, outside, line.fill, total)
        row[0] = total

    return prepare, sum_line
