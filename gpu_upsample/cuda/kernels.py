"""The CUDA kernels. Each is written once, against a machine of primitives (see `machine.py`).

A thread owns a few neighbouring scalars of an output row, its lanes, and walks down a strip of rows. So what it
must know about its columns it reads once, and every source row is filtered along the row once per strip.

Compile-time constants are in capitals. Nothing here writes to shared memory or waits at a barrier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numba import types

from gpu_upsample import arithmetic

THREADS = 128
"""Threads of a block."""

BLOCKS = 8
"""Blocks that a multiprocessor must be able to hold: it caps a thread at 64 registers."""


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
    columns : int
        Length of the windows along a row, to be unrolled; -1 for a run-time length, 0 if columns stay as they are.
    lanes : int
        Neighbouring scalars of a thread.
    fill : bool
        Whether a constant surrounds the array.
    wide : bool
        Whether flat indices need 64 bits.
    """

    source: str
    result: str
    rows: str
    depth: int
    columns: int
    lanes: int
    fill: bool
    wide: bool


@dataclass(frozen=True)
class SelectSpec:
    """A specialisation of the selection kernel: by size, not by type. Fields as in `FilterSpec`."""

    itemsize: int
    rows: bool
    columns: bool
    lanes: int
    fill: bool
    wide: bool


def _build_place(machine: Any, lanes: int, index: Any) -> Callable[..., Any]:
    """Return the function that says which part of the output a thread owns."""
    plus, mad, quotient, block, thread = machine.plus, machine.mad, machine.quotient, machine.block, machine.thread
    LANES, GROUP = lanes, THREADS * lanes

    @machine.inline
    def place(across, strips, strip, rows_out):
        """Return the plane, the first and the last row of the strip, and the first lane's place in a row."""
        unit = quotient(index(block()), index(across))
        plane = quotient(unit, index(strips))
        group = index(index(block()) - index(unit * index(across)))
        j = mad(group, index(GROUP), index(index(thread()) * index(LANES)))
        first = index(index(unit - index(plane * index(strips))) * index(strip))
        return plane, first, min(index(rows_out), plus(first, index(strip))), j

    return place


def build_filter(machine: Any, spec: FilterSpec) -> Callable[..., None]:
    """Return the kernel that forms weighted sums along the columns, then along the rows."""
    add_product, widen, narrow = machine.add_product, machine.widen, machine.narrow
    plus, mad, quotient = machine.plus, machine.mad, machine.quotient
    memory, load, load_lanes, store_lanes = machine.memory, machine.load, machine.load_lanes, machine.store_lanes

    SOURCE, RESULT = arithmetic.kind_of(spec.source), arithmetic.kind_of(spec.result)
    carrier_in, carrier_out = arithmetic.carrier_of(SOURCE), arithmetic.carrier_of(RESULT)
    real, index = arithmetic.accumulator_of(RESULT), types.uint64 if spec.wide else types.uint32
    RING, DIRECT = spec.rows == "ring", spec.rows == "direct"
    SUMS = DIRECT or spec.rows == "sums"
    DEPTH, COLUMNS, LANES, FILL = spec.depth, spec.columns, spec.lanes, spec.fill
    START = arithmetic.SCALARS[RESULT].start
    KEPT, WEIGHTS = max(1, DEPTH) * LANES, max(1, COLUMNS) * LANES
    place = _build_place(machine, LANES, index)

    def kernel(
        x, y, across, strips, strip, rows_in, rows_out, width_in, width_out, inner,
        row_start, row_stop, row_weight, row_width, row_outside,
        column_start, column_count, column_weight, column_width, column_outside, fill,
    ):  # fmt: skip
        one, inner, row_width = index(1), index(inner), index(row_width)
        plane, o, last, j = place(across, strips, strip, rows_out)
        if j >= index(width_out):
            return

        # Every lane's window: read once, used for every row of the strip.
        at, length, base = (
            memory.local.array(LANES, index),
            memory.local.array(LANES, types.uint32),
            memory.local.array(LANES, index),
        )
        weight, beyond = memory.local.array(WEIGHTS, real), memory.local.array(LANES, real)
        if COLUMNS:
            for lane in range(LANES):
                column = quotient(plus(j, index(lane)), inner)
                c = index(plus(j, index(lane)) - index(column * inner))
                at[lane] = mad(index(load(column_start, column)), inner, c)
                length[lane] = load(column_count, column)
                base[lane] = index(column * index(column_width))
                if FILL:
                    beyond[lane] = load(column_outside, column)
                for k in range(COLUMNS):
                    weight[lane * COLUMNS + k] = load(column_weight, plus(base[lane], index(k)))

        row, kept, packed = (
            memory.local.array(LANES, real),
            memory.local.array(KEPT, real),
            memory.local.array(LANES, carrier_out),
        )
        raw = memory.local.array(LANES, carrier_in)
        if SUMS:
            for k in range(KEPT):
                kept[k] = real(START)
        source = o if DEPTH == 0 else index(load(row_start, o))
        while o < last:
            start, stop = o, plus(o, one)
            if RING or SUMS:
                start, stop = index(load(row_start, o)), index(load(row_stop, o))
            source = max(source, start)  # rows that no window of the strip reads are passed over
            if source < stop:
                begin = index(mad(plane, index(rows_in), source) * index(width_in))
                if COLUMNS:
                    for lane in range(LANES):
                        total = real(START)
                        first = plus(begin, at[lane])
                        if COLUMNS > 0:
                            for k in range(COLUMNS):
                                if types.uint32(k) < length[lane]:
                                    value = load(x, mad(index(k), inner, first))
                                    total = add_product(RESULT, weight[lane * COLUMNS + k], widen(SOURCE, value), total)
                        else:
                            tap = index(0)
                            while tap < index(length[lane]):
                                value = load(x, mad(tap, inner, first))
                                factor = load(column_weight, plus(base[lane], tap))
                                total = add_product(RESULT, factor, widen(SOURCE, value), total)
                                tap = plus(tap, one)
                        if FILL and beyond[lane] != real(0.0):
                            total = add_product(RESULT, beyond[lane], fill, total)
                        row[lane] = total
                else:
                    load_lanes(x, plus(begin, j), raw, LANES)
                    for lane in range(LANES):
                        row[lane] = widen(SOURCE, raw[lane])
                if RING:
                    for k in range(KEPT - LANES):
                        kept[k] = kept[k + LANES]
                    for lane in range(LANES):
                        kept[KEPT - LANES + lane] = row[lane]
                if SUMS:
                    for k in range(DEPTH):
                        target = plus(o, index(k))
                        if target < last:
                            begins = index(load(row_start, target))
                            if source >= begins and source < index(load(row_stop, target)):
                                factor = load(row_weight, mad(target, row_width, index(source - begins)))
                                for lane in range(LANES):
                                    k_lane = k * LANES + lane
                                    kept[k_lane] = add_product(RESULT, factor, row[lane], kept[k_lane])
                source = plus(source, one)
            if source >= stop:  # the output row is complete
                if RING:
                    # The window ends where the ring ends, and so do its weights.
                    skipped = index(index(DEPTH) - index(stop - start))
                    for lane in range(LANES):
                        row[lane] = real(START)
                    for k in range(DEPTH):
                        factor = load(row_weight, mad(o, row_width, index(k)))
                        if index(k) >= skipped:
                            for lane in range(LANES):
                                row[lane] = add_product(RESULT, factor, kept[k * LANES + lane], row[lane])
                if SUMS:
                    for lane in range(LANES):
                        row[lane] = kept[lane]
                    for k in range(KEPT - LANES):
                        kept[k] = kept[k + LANES]
                    for lane in range(LANES):
                        kept[KEPT - LANES + lane] = real(START)
                if FILL and (RING or SUMS):
                    outside = load(row_outside, o)
                    if outside != real(0.0):
                        for lane in range(LANES):
                            row[lane] = add_product(RESULT, outside, fill, row[lane])
                for lane in range(LANES):
                    packed[lane] = narrow(RESULT, row[lane])
                begin = index(mad(plane, index(rows_out), o) * index(width_out))
                store_lanes(y, plus(begin, j), packed, LANES)
                o = plus(o, one)
                if DIRECT and o < last:
                    source = index(load(row_start, o))

    return kernel


def filter_signature(spec: FilterSpec) -> Any:
    """Return the types of the filter kernel's parameters."""
    source, result = map(arithmetic.kind_of, (spec.source, spec.result))
    real = arithmetic.accumulator_of(result)
    pointer, size = types.CPointer, types.uint64
    table, weights = pointer(types.uint32), pointer(real)
    arrays = (pointer(arithmetic.carrier_of(source)), pointer(arithmetic.carrier_of(result)))
    window = (table, table, weights, size, weights)
    return types.void(*arrays, *[size] * 8, *window, *window, real)


def build_select(machine: Any, spec: SelectSpec) -> Callable[..., None]:
    """Return the kernel that copies selected samples."""
    plus, mad, quotient = machine.plus, machine.mad, machine.quotient
    memory, load, load_lanes, store_lanes = machine.memory, machine.load, machine.load_lanes, machine.store_lanes

    word, index = _word(spec), types.uint64 if spec.wide else types.uint32
    ROWS, COLUMNS, LANES, FILL = spec.rows, spec.columns, spec.lanes, spec.fill
    place = _build_place(machine, LANES, index)
    NOWHERE = 2**32 - 1

    def kernel(
        x, y, across, strips, strip, rows_in, rows_out, width_in, width_out, inner, rows, columns, fill
    ):  # fmt: skip
        one, inner = index(1), index(inner)
        plane, o, last, j = place(across, strips, strip, rows_out)
        if j >= index(width_out):
            return

        at, inside = memory.local.array(LANES, index), memory.local.array(LANES, types.boolean)
        if COLUMNS:
            for lane in range(LANES):
                column = quotient(plus(j, index(lane)), inner)
                chosen = load(columns, column)
                at[lane] = mad(index(chosen), inner, index(plus(j, index(lane)) - index(column * inner)))
                inside[lane] = chosen != types.uint32(NOWHERE)
        values = memory.local.array(LANES, word)
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
                if COLUMNS:
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


def _word(spec: SelectSpec) -> Any:
    return getattr(types, f"uint{8 * spec.itemsize}")


def select_signature(spec: SelectSpec) -> Any:
    """Return the types of the selection kernel's parameters."""
    pointer, size = types.CPointer, types.uint64
    array, table = pointer(_word(spec)), pointer(types.uint32)
    return types.void(array, array, *[size] * 8, table, table, size)
