"""The CUDA kernels. Each is written once, against a machine of primitives (see `machine.py`).

A thread owns a few scalars of an output row, its lanes, and walks down a strip of rows. So what it must know about its
columns it reads once, and every source row is filtered along the row once per strip.

Compile-time constants are in capitals. Nothing here writes to shared memory or waits at a barrier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numba import types

from gpu_upsample import arithmetic

THREADS = 128
"""Threads of a block."""

GROUP = 4
"""Taps of a long window whose weights are loaded together: the table of columns' weights consists of such groups."""

BLOCKS = 8
"""Blocks that a multiprocessor must be able to hold: it caps a thread at 64 registers."""

MORE_BLOCKS, FEW_WORDS = 10, 28
"""With so few words for its lanes, a thread makes do with 48 registers, and more threads hide each other's waiting."""


def index_of(spec: Any) -> Any:
    """Return the type of the flat indices of a specialisation, which says whether they are `wide`."""
    return types.uint64 if spec.wide else types.uint32


def word_of(spec: Any) -> Any:
    """Return the type of the words of a specialisation by size."""
    return getattr(types, f"uint{8 * spec.itemsize}")


@dataclass(frozen=True)
class FilterSpec:
    """A specialisation of the filter kernel.

    Attributes
    ----------
    source, result : str
        The stored scalars.
    rows : str
        How the sums along the rows are formed. ``"ring"``: the last filtered source rows are kept, and an output
        row is summed when its window is complete; for few taps. ``"sums"``: the unfinished output rows are kept,
        and each source row is added to those it reaches; for many taps that overlap little, as when shrinking.
        ``"direct"``: every output row filters its source rows anew; where the other two would keep too many.
        ``"none"``: the rows stay as they are.
    depth : int
        Length of the ring, or number of unfinished rows.
    columns : str
        How the sums along a row are formed. ``"span"``: offsets and weights of the lanes' windows are the same in
        every thread, so a sample is loaded once for all lanes; lanes at the ends of a row walk along their windows.
        ``"apart"``: each lane has its own window and weights, in registers. ``"joint"``: the lanes are channels of one
        pixel, with one window. ``"walk"``: the only lane walks along its window; for long ones. ``"none"``: the columns
        stay as they are.
    width : int
        Length of the windows along a row, where they are unrolled; 0 elsewhere.
    least : int
        Length that such a window has at least.
    phases, step, shift : int
        A span's period: after `phases` pixels the weights repeat, and the windows begin `step` pixels further on.
        Pixel i of a thread begins ``(i * step + shift) // phases`` pixels behind the first. 0 elsewhere.
    inner : int
        Scalars of a pixel; 0 for a number known at run time only.
    lanes : int
        Scalars of a row that a thread owns.
    fill : bool
        Whether a constant surrounds the array.
    wide : bool
        Whether flat indices need 64 bits.
    fewer : bool
        Whether there are fewer output rows than source rows: the loop over these is then the inner one.
    vector, lead : int
        A span's samples are loaded so many at once, from so many before the first one on: there every thread's
        are aligned. One at a time if `vector` is 1.
    lines : int
        Length of the windows across the lines of a row; 0 if a row is one line.
    dealt : bool
        Whether a line is dealt to its threads like cards: neighbouring threads own neighbouring scalars, and the lanes
        of a thread lie as far apart as there are threads. Otherwise lanes are neighbours.
    """

    source: str
    result: str
    rows: str
    depth: int
    columns: str
    width: int
    least: int
    phases: int
    step: int
    shift: int
    inner: int
    lanes: int
    fill: bool
    wide: bool
    fewer: bool = False
    vector: int = 1
    lead: int = 0
    lines: int = 0
    dealt: bool = False

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:  # every launch asks for it
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    @property
    def pads_rows(self) -> bool:
        """Whether a tap of weight -0.0 changes no result along the rows.

        So it is where samples are finite and have no sign: the product is -0.0, and to add that changes no number but
        a zero's sign, which an integer loses. In sums of integers the weight is 0.
        """
        storage = arithmetic.SCALARS[arithmetic.kind_of(self.result)]
        unsigned = self.source.startswith(("uint", "bool")) or "int" in storage.accumulator
        return unsigned and "int" in self.result and not self.fill


def blocks_of(spec: Any) -> int:
    """Return how many blocks of a kernel a multiprocessor must be able to hold."""
    if not isinstance(spec, FilterSpec) or spec.columns == "walk" or spec.fewer or spec.wide or spec.lines:
        return BLOCKS
    return MORE_BLOCKS if kept(spec) + loaded(spec) * _words(spec) <= FEW_WORDS else BLOCKS


def _words(spec: FilterSpec) -> int:
    accumulator = arithmetic.SCALARS[arithmetic.kind_of(spec.result)].accumulator
    return max(1, np.dtype(accumulator).itemsize // 4)


def kept(spec: FilterSpec) -> int:
    """Return how many words a thread keeps for its lanes from row to row."""
    lanes = spec.lanes * (spec.depth + {"apart": spec.width + 2, "joint": 1}.get(spec.columns, 0))
    shared = spec.width * max(1, spec.phases) if spec.columns in ("span", "joint") else 0
    line = spec.lanes if spec.lines else 0  # the sums of a line, beside those of its row
    return (lanes + shared + line) * _words(spec)


def row_record(rows: str, depth: int) -> int:
    """Return how many weights of rows are loaded together: those of a source row in ``"sums"``, else of an output row.

    Parameters
    ----------
    rows, depth
        As in `FilterSpec`.
    """
    return -(-depth // GROUP) * GROUP if rows == "sums" and depth > 2 else depth


@dataclass(frozen=True)
class SelectSpec:
    """A specialisation of the selection kernel: by size, not by type.

    Attributes
    ----------
    itemsize : int
        Bytes of a scalar.
    rows, columns : bool
        Whether rows and columns are selected; otherwise they stay as they are.
    phases, step, shift : int
        The period of the columns, where the samples of a thread's lanes lie alike in every thread; 0 elsewhere.
        Pixel i of a thread lies ``(i * step + shift) // phases`` pixels behind the first.
    inner, lanes, fill, wide
        As in `FilterSpec`.
    """

    itemsize: int
    rows: bool
    columns: bool
    phases: int
    step: int
    shift: int
    inner: int
    lanes: int
    fill: bool
    wide: bool


def _build_place(machine: Any, index: Any) -> Callable[..., Any]:
    """Return the function that says which part of the output a thread owns."""
    plus, mad, quotient, block, thread = machine.plus, machine.mad, machine.quotient, machine.block, machine.thread

    @machine.inline
    def place(across, strips, strip, rows_out):
        """Return the plane, the first row of the strip and the one behind it, and the thread's number along a row.

        Threads are numbered along a row, then along the strips of a plane: so a block has no idle threads beyond
        the end of a short row. The plane of a thread behind the last one is none.
        """
        number = mad(index(block()), index(THREADS), index(thread()))
        unit = quotient(number, index(across))
        plane = quotient(unit, index(strips))
        first = index(index(unit - index(plane * index(strips))) * index(strip))
        last, along = min(index(rows_out), plus(first, index(strip))), index(number - index(unit * index(across)))
        return plane, first, last, along

    return place


def _build_columns(machine: Any, spec: FilterSpec, index: Any) -> tuple[Callable[..., Any], Callable[..., None]]:
    """Return the function that reads what a thread must know of its columns, and the one that sums along a row."""
    add_product, widen, plus, mad, quotient = (
        machine.add_product, machine.widen, machine.plus, machine.mad, machine.quotient,
    )  # fmt: skip
    memory, load, load_near, load_lanes = machine.memory, machine.load, machine.load_near, machine.load_lanes

    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    real, carrier = arithmetic.accumulator_of(RESULT), arithmetic.carrier_of(SOURCE)
    START = arithmetic.SCALARS[RESULT].start
    LANES, WIDTH, LEAST, FILL, INNER = spec.lanes, spec.width, spec.least, spec.fill, spec.inner
    SPAN, APART, DEALT = spec.columns == "span", spec.columns == "apart", spec.dealt
    PIXEL, PHASES, STEP, SHIFT = max(1, INNER), max(1, spec.phases), spec.step, spec.shift
    VECTOR, LEAD, REACH = spec.vector, spec.lead, loaded(spec)
    SHARE, OWN = PHASES * PIXEL, LANES if APART else 1

    @machine.inline
    def window(place, inner, column_start):
        """Return the column of a place in a row, and where its window begins in a source row."""
        if INNER == 1:
            return place, index(load(column_start, place))
        column = quotient(place, inner)
        return column, mad(index(load(column_start, column)), inner, index(place - index(column * inner)))

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
        column = quotient(place, inner)
        channel = index(place - index(column * inner))
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


def loaded(spec: FilterSpec) -> int:
    """Return how many scalars of a source row a thread loads."""
    if spec.columns == "none":
        return spec.lanes
    if spec.columns == "span":
        pixel = max(1, spec.inner)
        reach = (((spec.lanes - 1) // pixel * spec.step + spec.shift) // spec.phases + spec.width) * pixel
        return -(-(spec.lead + reach) // spec.vector) * spec.vector
    return spec.lanes * spec.width


def build_filter(machine: Any, spec: FilterSpec) -> Callable[..., None]:
    """Return the kernel that forms weighted sums along the columns, then across the lines, then along the rows."""
    add_product, narrow, plus, mad = machine.add_product, machine.narrow, machine.plus, machine.mad
    memory, load, load_lanes = machine.memory, machine.load, machine.load_lanes
    quotient, store_lanes, store_bytes = machine.quotient, machine.store_lanes, machine.store_bytes

    RESULT = arithmetic.kind_of(spec.result)
    carrier_out = arithmetic.carrier_of(RESULT)
    real, index = arithmetic.accumulator_of(RESULT), index_of(spec)
    ROWS, RING, SUMS = spec.rows != "none", spec.rows == "ring", spec.rows == "sums"
    DIRECT, FEWER = spec.rows == "direct", spec.fewer
    DEPTH, LANES, FILL, INNER = max(1, spec.depth), spec.lanes, spec.fill, spec.inner
    BYTES = spec.result == "uint8" and LANES % 4 == 0
    START = arithmetic.SCALARS[RESULT].start
    KEPT, OWN = DEPTH * LANES, LANES if spec.columns == "apart" else 1
    RECORD, PADDED = row_record(spec.rows, DEPTH), spec.pads_rows
    WEIGHTS, LINES, DEALT = max(1, spec.width * (spec.phases or OWN)), spec.lines, spec.dealt
    place = _build_place(machine, index)
    prepare, sum_line = _build_columns(machine, spec, index)

    @machine.inline
    def record(number, length):
        """Return where a record of a table begins; in 64 bits, the address is one multiplication."""
        return types.uint64(types.uint64(number) * types.uint64(length))

    @machine.inline
    def reached(row_window, o):
        """Return the first source row of an output row's window, and the one behind the last."""
        pair = memory.local.array(2, types.uint32)
        if ROWS:
            load_lanes(row_window, record(o, 2), pair, 2)  # the table has a row more than the output
            return index(pair[0]), index(pair[1])
        return o, plus(o, index(1))

    @machine.inline
    def sum_lines(x, begin, whole, width_in, j, inner, tables, limits, fill, known, lines, row):
        """Sum the lines of a source row that an output line reaches, each of them summed along its columns."""
        line_weight, first, count, outside = lines
        part = memory.local.array(LANES, real)
        for lane in range(LANES):
            row[lane] = real(START)
        line, tap = begin, types.uint32(0)
        while tap < count:
            sum_line(x, line, whole, width_in, j, inner, tables, limits, fill, known, part)
            factor = load(line_weight, plus(first, tap))
            for lane in range(LANES):
                row[lane] = add_product(RESULT, factor, part[lane], row[lane])
            line, tap = plus(line, index(width_in)), plus(tap, types.uint32(1))
        if FILL and outside != real(0.0):
            for lane in range(LANES):
                row[lane] = add_product(RESULT, outside, fill, row[lane])

    @machine.inline
    def sum_only_line(x, begin, whole, width_in, j, inner, tables, limits, fill, known, lines, row):
        sum_line(x, begin, whole, width_in, j, inner, tables, limits, fill, known, row)

    sum_row = sum_lines if LINES else sum_only_line

    @machine.inline
    def keep_row(row_weight, row_width, o, source, start, row, kept):
        """Put a filtered source row into the ring, or add it to the unfinished output rows."""
        if not (SUMS or DIRECT):
            for k in range(KEPT - LANES):
                kept[k] = kept[k + LANES]
            for lane in range(LANES):
                kept[KEPT - LANES + lane] = row[lane]
            return
        factors = memory.local.array(RECORD, real)
        if SUMS:
            # The first weight is that of the row to be completed next. Where no row is reached, it is NaN or harmless.
            load_lanes(row_weight, record(source, RECORD), factors, RECORD)
        else:
            factors[0] = load(row_weight, mad(o, index(row_width), index(source - start)))
        for k in range(DEPTH):
            if k == 0 or PADDED or factors[k] == factors[k]:
                for lane in range(LANES):
                    k_lane = k * LANES + lane
                    kept[k_lane] = add_product(RESULT, factors[k], row[lane], kept[k_lane])

    @machine.inline
    def store_row(y, to_store, between, full, total):
        """Store the lanes of a row; if they are not `full`, the last of them lies beyond its end."""
        packed = memory.local.array(1 if DEALT else LANES, carrier_out)
        if DEALT:
            for lane in range(LANES):
                packed[0] = narrow(RESULT, total[lane])
                if lane < LANES - 1 or full:
                    store_lanes(y, mad(index(lane), between, to_store), packed, 1)
        elif BYTES:
            store_bytes(y, to_store, total, LANES)
        else:
            for lane in range(LANES):
                packed[lane] = narrow(RESULT, total[lane])
            store_lanes(y, to_store, packed, LANES)

    @machine.inline
    def complete_row(
        y, to_store, between, full, own, row_weight, row_outside, fill, o, start, stop, kept, total
    ):  # fmt: skip
        """Complete an output row, and store it if it is one of the strip."""
        factors = memory.local.array(RECORD, real)
        if SUMS or DIRECT:
            for lane in range(LANES):
                total[lane] = kept[lane]
            for k in range(KEPT - LANES):
                kept[k] = kept[k + LANES]
            for lane in range(LANES):
                kept[KEPT - LANES + lane] = real(START)
        elif RING:
            # The window ends where the ring ends, and so do its weights.
            load_lanes(row_weight, record(o, RECORD), factors, RECORD)
            skipped = index(index(DEPTH) - index(stop - start))
            for lane in range(LANES):
                total[lane] = real(START)
            if skipped == index(0):
                for k in range(DEPTH):
                    for lane in range(LANES):
                        total[lane] = add_product(RESULT, factors[k], kept[k * LANES + lane], total[lane])
            else:
                for k in range(DEPTH):
                    if index(k) >= skipped:
                        for lane in range(LANES):
                            total[lane] = add_product(RESULT, factors[k], kept[k * LANES + lane], total[lane])
        else:
            for lane in range(LANES):
                total[lane] = kept[lane]
        if FILL and ROWS:
            outside = load(row_outside, o)
            if outside != real(0.0):
                for lane in range(LANES):
                    total[lane] = add_product(RESULT, outside, fill, total[lane])
        if own or not SUMS:
            store_row(y, to_store, between, full, total)

    def kernel(
        x, y, planes, across, strips, strip, rows_in, rows_out, width_in, width_out, inner,
        row_window, row_reach, row_weight, row_width, row_outside,
        column_start, column_count, column_weight, column_pitch, column_outside,
        span_start, span_stop, span_first, span_begin,
        lines_in, lines_out, line_window, line_weight, line_outside, fill,
    ):  # fmt: skip
        one, inner = index(1), index(INNER if INNER else inner)
        plane, o, last, number = place(across, strips, strip, rows_out)
        if plane >= index(planes):
            return

        at, length = memory.local.array(OWN, index), memory.local.array(OWN, types.uint32)
        weight, surround = memory.local.array(WEIGHTS, real), memory.local.array(OWN, real)
        tables = (column_start, column_count, column_weight, column_pitch, column_outside)
        limits = (span_start, span_stop, span_first, span_begin)
        row_in, row_out = index(width_in), index(width_out)
        pair = memory.local.array(2, types.uint32)
        line, first_line, count, outside, threads = index(0), index(0), types.uint32(1), real(0.0), index(across)
        if LINES:
            row_in, row_out = index(row_in * index(lines_in)), index(row_out * index(lines_out))
            threads = quotient(threads, index(lines_out))
            line = quotient(number, threads)
            number = index(number - index(line * threads))
            load_lanes(line_window, record(line, 2), pair, 2)
            first_line, count = index(pair[0]), types.uint32(pair[1] - pair[0])
            if FILL:
                outside = load(line_outside, line)
        lines = (line_weight, types.uint32(index(line * index(LINES))), count, outside)
        plane_in = mad(index(plane * index(rows_in)), row_in, index(first_line * index(width_in)))
        known = (at, length, weight, surround)
        j, between = (number, threads) if DEALT else (index(number * index(LANES)), one)
        full = mad(index(LANES - 1), between, j) < index(width_out)
        whole = prepare(j, between, width_out, inner, tables, limits, known)

        row, kept = memory.local.array(LANES, real), memory.local.array(KEPT, real)
        if SUMS or DIRECT:
            for k in range(KEPT):
                kept[k] = real(START)
        start, stop = reached(row_window, o)
        source, own = start, o
        if SUMS:
            # The first source row may belong to output rows of the strip above: these are begun, but not stored.
            o = min(o, index(load(row_reach, source)))
            stop = reached(row_window, o)[1]
        to_store = mad(mad(plane, index(rows_out), o), row_out, mad(line, index(width_out), j))
        while o < last:
            if FEWER:
                while source < stop:
                    begin = mad(source, row_in, plane_in)
                    sum_row(x, begin, whole, width_in, j, inner, tables, limits, fill, known, lines, row)
                    keep_row(row_weight, row_width, o, source, start, row, kept)
                    source = plus(source, one)
                complete_row(
                    y, to_store, between, full, o >= own, row_weight, row_outside, fill, o, start, stop, kept, row
                )
                o, to_store = plus(o, one), plus(to_store, row_out)
                start, stop = reached(row_window, o)
                source = start if DIRECT else max(source, start)  # rows that no window reads are passed over
            else:
                # Several output rows are completed between two source rows.
                while o < last and source >= stop:
                    complete_row(
                        y, to_store, between, full, o >= own, row_weight, row_outside, fill, o, start, stop, kept, row
                    )
                    o, to_store = plus(o, one), plus(to_store, row_out)
                    start, stop = reached(row_window, o)
                    source = start if DIRECT else max(source, start)
                if o < last:
                    begin = mad(source, row_in, plane_in)
                    sum_row(x, begin, whole, width_in, j, inner, tables, limits, fill, known, lines, row)
                    keep_row(row_weight, row_width, o, source, start, row, kept)
                    source = plus(source, one)

    return kernel


def filter_signature(spec: FilterSpec) -> Any:
    """Return the types of the filter kernel's parameters."""
    source, result = map(arithmetic.kind_of, (spec.source, spec.result))
    real = arithmetic.accumulator_of(result)
    pointer, size = types.CPointer, types.uint64
    table, weights = pointer(types.uint32), pointer(real)
    arrays = (pointer(arithmetic.carrier_of(source)), pointer(arithmetic.carrier_of(result)))
    window = (table, table, weights, size, weights)
    return types.void(*arrays, *[size] * 9, *window, *window, *[size] * 6, table, weights, weights, real)


def build_select(machine: Any, spec: SelectSpec) -> Callable[..., None]:
    """Return the kernel that copies selected samples."""
    plus, mad, quotient = machine.plus, machine.mad, machine.quotient
    memory, load, load_near, load_lanes = machine.memory, machine.load, machine.load_near, machine.load_lanes
    store_lanes = machine.store_lanes

    word, index = word_of(spec), index_of(spec)
    ROWS, COLUMNS, LANES, FILL, INNER = spec.rows, spec.columns, spec.lanes, spec.fill, spec.inner
    PIXEL, SPAN, PHASES, STEP, SHIFT = max(1, INNER), spec.phases > 0, max(1, spec.phases), spec.step, spec.shift
    REACH = (((LANES - 1) // PIXEL * STEP + SHIFT) // PHASES + 1) * PIXEL
    OWN = 1 if SPAN else LANES
    place = _build_place(machine, index)
    NOWHERE = 2**32 - 1

    @machine.inline
    def chosen_place(here, inner, columns):
        """Return where the sample of a place in an output row lies in its source row, and whether it lies there."""
        if INNER == 1:
            chosen = load(columns, here)
            return index(chosen), chosen != types.uint32(NOWHERE)
        column = quotient(here, inner)
        chosen = load(columns, column)
        first = mad(index(chosen), inner, index(here - index(column * inner)))
        return first, chosen != types.uint32(NOWHERE)

    def kernel(
        x, y, planes, across, strips, strip, rows_in, rows_out, width_in, width_out, inner, rows, columns,
        whole_start, whole_stop, lanes, fill,
    ):  # fmt: skip
        one, inner = index(1), index(INNER if INNER else inner)
        plane, o, last, number = place(across, strips, strip, rows_out)
        if plane >= index(planes):
            return

        j = index(number * index(LANES))
        at, inside = memory.local.array(OWN, index), memory.local.array(OWN, types.boolean)
        whole = SPAN and j >= index(whole_start) and plus(j, index(LANES)) <= index(whole_stop)
        if COLUMNS:
            for lane in range(OWN):
                at[lane], inside[lane] = chosen_place(plus(j, index(lane)), inner, columns)
        values, samples = memory.local.array(LANES, word), memory.local.array(REACH, word)
        before, loaded = index(0), False
        while o < last:
            source, nowhere = o, False
            if ROWS:
                chosen = load(rows, o)
                source, nowhere = index(chosen), FILL and chosen == types.uint32(NOWHERE)
            if nowhere:
                for lane in range(LANES):
                    values[lane] = word(fill)
                loaded = False
            elif not (loaded and source == before):  # a repeated row is still in the registers
                begin = index(mad(plane, index(rows_in), source) * index(width_in))
                if whole:
                    first = plus(begin, at[0])
                    for k in range(REACH):
                        samples[k] = load_near(x, first, k)
                    for lane in range(LANES):
                        values[lane] = samples[(lane // PIXEL * STEP + SHIFT) // PHASES * PIXEL + lane % PIXEL]
                elif SPAN:
                    for number in range(lanes):  # a loop that the compiler must keep: the last results move up
                        first, known = chosen_place(plus(j, index(number)), inner, columns)
                        for lane in range(LANES - 1):
                            values[lane] = values[lane + 1]
                        values[LANES - 1] = word(fill) if FILL and not known else load(x, plus(begin, first))
                elif COLUMNS:
                    for lane in range(LANES):
                        if FILL and not inside[lane]:
                            values[lane] = word(fill)
                        else:
                            values[lane] = load(x, plus(begin, at[lane]))
                else:
                    load_lanes(x, plus(begin, j), values, LANES)
                before, loaded = source, True
            begin = index(mad(plane, index(rows_out), o) * index(width_out))
            store_lanes(y, plus(begin, j), values, LANES)
            o = plus(o, one)

    return kernel


def select_signature(spec: SelectSpec) -> Any:
    """Return the types of the selection kernel's parameters."""
    pointer, size = types.CPointer, types.uint64
    array, table = pointer(word_of(spec)), pointer(types.uint32)
    return types.void(array, array, *[size] * 9, table, table, *[size] * 4)
