"""Products of small matrices in vector registers: what a matrix product is made of.

A compiler does not keep a block of sums in registers by itself, so the block is written as LLVM vectors. Nor does it
know that gathering and scattering vectors is slower than one element after another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from gpu_upsample.arithmetic import fused
from gpu_upsample.cpu.features import VECTOR_BYTES
from gpu_upsample.cpu.vectors import X86, place_of, primitive, splat_value

REGISTERS = 32 if VECTOR_BYTES == 64 or not X86 else 16

VECTORS = 3
"""Vectors of a row of a block."""

ROWS = 8 if REGISTERS == 32 else 4
"""Rows of a block: its sums, a row of one factor and an element of the other must fit into the registers. A power of
two, so that rows can be interleaved."""


def rows_for(together: int) -> int:
    """Return the rows of a block for so many sums side by side: half of them, where a quarter would be filled up.

    Examples
    --------
    >>> rows_for(ROWS // 2) == ROWS // 2, rows_for(ROWS) == ROWS
    (True, True)
    """
    fewer, whole = (-(-together // rows) * rows for rows in (ROWS // 2, ROWS))
    return ROWS // 2 if 4 * fewer <= 3 * whole else ROWS


def register_lanes(accumulator: str) -> int:
    """Return the numbers of a vector register."""
    return VECTOR_BYTES // np.dtype(accumulator).itemsize


@primitive
def add_products(
    typingctx: Any,
    lanes: Any,
    rows: Any,
    masked: Any,
    n: Any,
    a: Any,
    at: Any,
    b: Any,
    masks: Any,
    first: Any,
    run: Any,
    apart: Any,
    sums: Any,
    few: Any,
) -> Any:
    """Add ``a[r, i] * b[q, j]`` to ``sums[i, j]``, r ascending up to n, by one fused multiply-add each.

    Row q belongs to r: ``first + r // run * apart + r % run``. `a` has `rows` numbers in a row and is read from `at`
    on, `b` has VECTORS * lanes, and so has `sums`; with `few`, the last of these vectors takes no part. With `masked`,
    bit ``j % lanes`` of ``masks[q, j // lanes]`` says whether row q takes part in column j. There is at least one row.
    """
    if not all(isinstance(number, types.IntegerLiteral) for number in (lanes, rows, masked)):
        return None  # typed again with the literals
    width, height, chosen = (number.literal_value for number in (lanes, rows, masked))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        with builder.if_else(args[12]) as (fewer, otherwise):
            with fewer:
                multiply(context, builder, signature, args, VECTORS - 1)
            with otherwise:
                multiply(context, builder, signature, args, VECTORS)
        return context.get_dummy_value()

    def multiply(context: Any, builder: Any, signature: Any, args: Any, across: int) -> None:
        number = context.get_data_type(signature.args[4].dtype)
        vector, index = ir.VectorType(number, width), ir.IntType(64)
        size = context.get_abi_sizeof(number)

        def constant(value: int) -> Any:
            return ir.Constant(index, value)

        def start(position: int, begin: Any) -> Any:
            return place_of(context, builder, signature.args[position], args[position], begin)

        def vector_at(pointer: Any, offset: Any) -> Any:
            return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

        left = start(4, args[5])
        right, bits, block = (start(position, constant(0)) for position in (6, 7, 11))
        places = [[constant((i * VECTORS + j) * width) for j in range(across)] for i in range(height)]
        before = [[builder.load(vector_at(block, place), align=size) for place in line] for line in places]

        first, run, apart = args[8:11]
        hidden = ir.InlineAsm(ir.FunctionType(index, [index]), "", "=r,0")
        count = builder.call(hidden, [args[3]])  # LLVM would otherwise work it out anew in every turn
        beyond = builder.sub(builder.add(apart, constant(1)), run)  # from a run's last row to the next run
        entry, loop, end = builder.block, builder.append_basic_block("rows"), builder.append_basic_block("sums")
        builder.branch(loop)
        builder.position_at_end(loop)
        r, q, left_of_run = (builder.phi(index) for _ in range(3))
        for counter, initially in ((r, constant(0)), (q, first), (left_of_run, run)):
            counter.add_incoming(initially, entry)
        held = [[builder.phi(vector) for _ in line] for line in places]
        pitch, taken = constant(VECTORS * width), []
        row = [
            builder.load(vector_at(right, builder.add(builder.mul(q, pitch), constant(j * width))), align=size * width)
            for j in range(across)
        ]
        if chosen:
            for j in range(across):
                word = builder.load(builder.gep(bits, [builder.add(builder.mul(q, constant(VECTORS)), constant(j))]))
                word = word if width == word.type.width else builder.trunc(word, ir.IntType(width))
                taken.append(builder.bitcast(word, ir.VectorType(ir.IntType(1), width)))
        after = []
        for i in range(height):
            factor = builder.load(builder.gep(left, [builder.add(builder.mul(r, constant(height)), constant(i))]))
            every = splat_value(builder, factor, width)
            line = []
            for j in range(across):
                total = fused(builder, every, row[j], held[i][j])
                line.append(builder.select(taken[j], total, held[i][j]) if chosen else total)
            after.append(line)
        following = builder.add(r, constant(1))
        r.add_incoming(following, loop)
        still = builder.sub(left_of_run, constant(1))
        ended = builder.icmp_signed("==", still, constant(0))
        left_of_run.add_incoming(builder.select(ended, run, still), loop)
        q.add_incoming(builder.add(q, builder.select(ended, beyond, constant(1))), loop)
        for i in range(height):
            for j in range(across):
                held[i][j].add_incoming(before[i][j], entry)
                held[i][j].add_incoming(after[i][j], loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, end)
        builder.position_at_end(end)
        for line, values in zip(places, after, strict=True):
            for place, value in zip(line, values, strict=True):
                builder.store(value, vector_at(block, place), align=size)

    whole = types.int64
    return types.void(lanes, rows, masked, whole, a, whole, b, masks, whole, whole, whole, sums, types.boolean), codegen


@primitive
def load_alone(typingctx: Any, array: Any, at: Any) -> Any:
    """Return an element of a flat array, never as a part of a gathered vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = place_of(context, builder, array, args[0], args[1])
        return builder.load_atomic(place, "unordered", array.dtype.bitwidth // 8)

    return array.dtype(array, types.int64), codegen


@primitive
def store_alone(typingctx: Any, array: Any, at: Any, value: Any) -> Any:
    """Set an element of a flat array, never as a part of a scattered vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = place_of(context, builder, array, args[0], args[1])
        builder.store_atomic(args[2], place, "unordered", array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), codegen
