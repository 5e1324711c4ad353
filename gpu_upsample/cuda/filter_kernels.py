"""The CUDA kernel of weighted sums: along the columns, then across the lines of a row, then along the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from gpu_upsample import arithmetic
from gpu_upsample.cuda.filter_columns import Line, build_columns
from gpu_upsample.cuda.filter_spec import FilterSpec, row_record
from gpu_upsample.cuda.kernels import build_split, build_strip, index_of
from gpu_upsample.cuda.order import build_order
from gpu_upsample.cuda.pieces import build_pieces


def build_filter(machine: Any, spec: FilterSpec) -> Callable[..., None]:
    """Return the kernel that forms weighted sums along the columns, then across the lines, then along the rows."""
    add_product, narrow, plus, mad = machine.add_product, machine.narrow, machine.plus, machine.mad
    memory, load, load_lanes = machine.memory, machine.load, machine.load_lanes

    RESULT = arithmetic.kind_of(spec.result)
    carrier_out = arithmetic.carrier_of(RESULT)
    real, index = arithmetic.accumulator_of(RESULT), index_of(spec)
    split = build_split(machine, index)
    ROWS, RING, SUMS = spec.rows != "none", spec.rows == "ring", spec.rows == "sums"
    DIRECT, FEWER = spec.rows == "direct", spec.fewer
    DEPTH, LANES, FILL, INNER = max(1, spec.depth), spec.lanes, spec.fill, spec.inner
    PIECE = LANES // spec.pieces
    BYTES = spec.result == "uint8" and PIECE % 4 == 0
    START = arithmetic.SCALARS[RESULT].start
    KEPT, RECORD, PADDED, LINES = DEPTH * LANES, row_record(spec.rows, DEPTH), spec.pads_rows, spec.lines
    order, strip_of = build_order(machine, spec, index), build_strip(machine, index)
    pieces = build_pieces(machine, spec, index)
    full_of, store_bytes = pieces.full, pieces.storing(real, machine.store_bytes)
    store_pieces = pieces.storing(carrier_out, machine.store_lanes)
    prepare, sum_line = build_columns(machine, spec, index, pieces)

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
    def sum_lines(x, begin, state, lines, row):
        """Sum the lines of a source row that an output line reaches, each of them summed along its columns."""
        width_in, weight, first, count, outside, fill = lines
        part = memory.local.array(LANES, real)
        for lane in range(LANES):
            row[lane] = real(START)
        tap = types.uint32(0)
        while tap < count:
            sum_line(x, begin, state, part)
            factor = load(weight, plus(first, tap))
            for lane in range(LANES):
                row[lane] = add_product(RESULT, factor, part[lane], row[lane])
            begin, tap = plus(begin, index(width_in)), plus(tap, types.uint32(1))
        if FILL and outside != real(0.0):
            for lane in range(LANES):
                row[lane] = add_product(RESULT, outside, fill, row[lane])

    @machine.inline
    def sum_only_line(x, begin, state, lines, row):
        sum_line(x, begin, state, row)

    sum_row = sum_lines if LINES else sum_only_line

    @machine.inline
    def keep_row(row_weight, row_pitch, o, source, start, row, kept):
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
            factors[0] = load(row_weight, mad(o, index(row_pitch), index(source - start)))
        for k in range(DEPTH):
            if k == 0 or PADDED or factors[k] == factors[k]:
                for lane in range(LANES):
                    k_lane = k * LANES + lane
                    kept[k_lane] = add_product(RESULT, factors[k], row[lane], kept[k_lane])

    @machine.inline
    def store_row(y, to_store, between, full, total):
        """Store the lanes of a row; if they are not `full`, the last piece of them lies beyond its end."""
        if BYTES:
            store_bytes(y, to_store, between, full, total)
        else:
            narrowed = memory.local.array(LANES, carrier_out)
            for lane in range(LANES):
                narrowed[lane] = narrow(RESULT, total[lane])
            store_pieces(y, to_store, between, full, narrowed)

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
        x, y, planes, threads, strips, strip, rows_in, rows_out, width_in, width_out, inner, row_pitch, column_pitch,
        span_first, span_threads, span_begin, lines_in, lines_out,
        row_window, row_reach, row_weight, row_outside,
        column_start, column_count, column_weight, column_outside,
        line_window, line_weight, line_outside, fill,
    ):  # fmt: skip
        one, inner = index(1), index(INNER if INNER else inner)
        unit, number, inside = order(planes * strips * lines_out, threads, span_first, span_threads)
        line = index(0)
        if LINES:
            unit, line = split(unit, index(lines_out))
        plane, o, last = strip_of(unit, strips, strip, rows_out)
        if plane >= index(planes):
            return

        row_in, row_out = index(width_in), index(width_out)
        pair = memory.local.array(2, types.uint32)
        first_line, count, outside = index(0), types.uint32(1), real(0.0)
        if LINES:
            row_in, row_out = index(row_in * index(lines_in)), index(row_out * index(lines_out))
            load_lanes(line_window, record(line, 2), pair, 2)
            first_line, count = index(pair[0]), types.uint32(pair[1] - pair[0])
            if FILL:
                outside = load(line_outside, line)
        lines = (width_in, line_weight, types.uint32(index(line * index(LINES))), count, outside, fill)
        plane_in = mad(index(plane * index(rows_in)), row_in, index(first_line * index(width_in)))
        j, between = index(number * index(PIECE)), index(index(threads) * index(PIECE))
        full = full_of(j, between, width_out)
        state = prepare(
            Line(
                j, between, inside, span_begin, width_in, width_out, inner, column_pitch, fill,
                column_start, column_count, column_weight, column_outside,
            )
        )  # fmt: skip

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
                    sum_row(x, begin, state, lines, row)
                    keep_row(row_weight, row_pitch, o, source, start, row, kept)
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
                    sum_row(x, begin, state, lines, row)
                    keep_row(row_weight, row_pitch, o, source, start, row, kept)
                    source = plus(source, one)

    return kernel


def filter_signature(spec: FilterSpec) -> Any:
    """Return the types of the filter kernel's parameters."""
    source, result = map(arithmetic.kind_of, (spec.source, spec.result))
    real = arithmetic.accumulator_of(result)
    pointer, size = types.CPointer, types.uint64
    table, weights = pointer(types.uint32), pointer(real)
    arrays = (pointer(arithmetic.carrier_of(source)), pointer(arithmetic.carrier_of(result)))
    windows = (table, table, weights, weights)
    return types.void(*arrays, *[size] * 16, *windows, *windows, table, weights, weights, real)
