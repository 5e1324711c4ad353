"""Some vectors at a time, as tuples: sums that stay in registers while a loop adds to them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from gpu_upsample.arithmetic import SCALARS, accumulator_of, fused, widen_value
from gpu_upsample.cpu.features import VECTOR_BYTES
from gpu_upsample.cpu.tiles import REGISTERS
from gpu_upsample.cpu.vectors import place_of, primitive, splat_value, strided


def room_for_sums(lanes: int, itemsize: int, parts: int) -> int:
    """Return how many sums, each of a vector for each of its parts, the registers hold beside what is added to them."""
    return max(1, REGISTERS * 3 // 4 // (parts * max(1, lanes * itemsize // VECTOR_BYTES)))


@primitive
def several(typingctx: Any, number: Any, vector: Any) -> Any:
    """Return a tuple of as many equal vectors."""
    count = number.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_tuple(builder, signature.return_type, [args[1]] * count)

    return types.UniTuple(vector, count)(number, vector), codegen


@primitive
def add_terms(
    typingctx: Any,
    kind: Any,
    step: Any,
    masked: Any,
    rows: Any,
    x: Any,
    at: Any,
    places: Any,
    factors: Any,
    held: Any,
    apart: Any,
    begins: Any,
    ends: Any,
    left: Any,
    sums: Any,
) -> Any:
    """Return sums to each lane of which a product has been added, by one fused multiply-add.

    Sum number ``i * len(places) + j`` gets the products of vector i of the factors, of which there are `rows`, and
    vector j of the samples. The first begins at ``held + i * apart``, the other at ``at + places[j]``, each sample
    `step` behind the one before. Where `rows` is 0, factors are 1. With `masked`, lane n of samples j takes part if
    ``begins[j] <= left + n < ends[j]``.
    """
    number = kind.literal_value
    storage, real, lanes, between = SCALARS[number], accumulator_of(number), sums.dtype.lanes, step.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, _, _, _, x_value, at, places, factors_value, held, apart, begins, ends, left, sums_value = args
        before = cgutils.unpack_tuple(builder, sums_value)
        after: list[Any] = []
        offsets, lows, highs = (cgutils.unpack_tuple(builder, each) for each in (places, begins, ends))

        def samples(column: int) -> Any:
            place = place_of(context, builder, x, x_value, builder.add(at, offsets[column]))
            return widen_value(builder, storage, strided(builder, place, lanes, between))

        def multiplier(row: int) -> Any:
            if rows.literal_value == 0:
                return ir.Constant(ir.VectorType(context.get_value_type(real), lanes), [1.0] * lanes)
            begin = builder.add(held, builder.mul(apart, ir.Constant(apart.type, row)))
            place = place_of(context, builder, factors, factors_value, begin)
            return widen_value(builder, storage, strided(builder, place, lanes, 1))

        def inside(column: int) -> Any:
            word, (low, high) = ir.IntType(32), (lows[column], highs[column])
            lane = ir.Constant(ir.VectorType(word, lanes), list(range(lanes)))
            first, length = builder.sub(low, left), builder.sub(high, low)
            first, length = (splat_value(builder, builder.trunc(each, word), lanes) for each in (first, length))
            return builder.icmp_unsigned("<", builder.sub(lane, first), length)

        values, present = [], []
        for column in range(len(offsets)):
            values.append(samples(column))
            present.append(inside(column) if masked.literal_value else None)
        for row in range(len(before) // len(offsets)):
            factor = multiplier(row)
            for value, chosen in zip(values, present, strict=True):
                old = before[len(after)]
                total = fused(builder, factor, value, old)
                after.append(total if chosen is None else builder.select(chosen, total, old))
        return context.make_tuple(builder, sums, after)

    whole = types.int64
    return sums(kind, step, masked, rows, x, whole, places, factors, whole, whole, begins, ends, whole, sums), codegen


@primitive
def add_lanes(typingctx: Any, totals: Any, at: Any, sums: Any) -> Any:
    """Add the lanes of each vector, one after another, to the number of an array that belongs to it, from `at` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for which, vector in enumerate(cgutils.unpack_tuple(builder, args[2])):
            at = builder.add(args[1], ir.Constant(args[1].type, which))
            place = place_of(context, builder, totals, args[0], at)
            total = builder.load(place)
            for lane in range(sums.dtype.lanes):
                total = builder.fadd(total, builder.extract_element(vector, ir.Constant(ir.IntType(32), lane)))
            builder.store(total, place)
        return context.get_dummy_value()

    return types.void(totals, types.int64, sums), codegen
