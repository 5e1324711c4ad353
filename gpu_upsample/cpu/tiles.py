"""Products of small matrices in vector registers: what a matrix product is made of.

A compiler does not keep a block of sums in registers by itself, so the block is written as LLVM vectors. Nor does it
know that gathering and scattering vectors is slower than one element after another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from gpu_upsample.arithmetic import SCALARS, fused, widen_value
from gpu_upsample.cpu.features import VECTOR_BYTES
from gpu_upsample.cpu.vectors import X86, place_of, primitive, splat_value

REGISTERS = 32 if VECTOR_BYTES == 64 or not X86 else 16

VECTORS = 3
"""Vectors of a row of a block."""

ROWS = 8 if REGISTERS == 32 else 4
"""Rows of a block: its sums, a row of one factor and an element of the other must fit into the registers. A power of
two, so that rows can be interleaved."""

POSITIONS, CHANNEL_VECTORS = (5, 4) if REGISTERS == 32 else (4, 2)
"""Rows and vectors of a block whose rows have elements of one factor each anywhere: there are as many addresses."""


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


def _index(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)


def _vector_at(builder: Any, pointer: Any, offset: Any, lanes: int) -> Any:
    """Emit the pointer to a vector that begins so many numbers behind another pointer."""
    place = builder.gep(pointer, [offset])
    return builder.bitcast(place, ir.VectorType(place.type.pointee, lanes).as_pointer())


def _added(builder: Any, factor: Any, row: list[Any], sums: list[Any], taken: list[Any]) -> list[Any]:
    """Emit a row of sums to which the products of a row and a factor have been added, in the lanes that take part."""
    totals = [fused(builder, factor, value, before) for value, before in zip(row, sums, strict=True)]
    if not taken:
        return totals
    return [builder.select(*each) for each in zip(taken, totals, sums, strict=True)]


def _turns(
    builder: Any, n: Any, state: list[Any], sums: list[list[Any]], turn: Callable[..., Any]
) -> tuple[list[Any], list[list[Any]]]:
    """Emit a loop of n turns, at least one, in which a block of sums stays in registers; return what is left then.

    Parameters
    ----------
    builder, n
        Where to emit, and how many turns.
    state, sums : list, list of lists
        What they are before the first turn.
    turn : callable
        Takes the number of a turn, the state and the sums, and emits both as they are after it.
    """
    index = ir.IntType(64)
    hidden = ir.InlineAsm(ir.FunctionType(index, [index]), "", "=r,0")
    count = builder.call(hidden, [n])  # LLVM would otherwise work it out anew in every turn
    entry, loop, end = builder.block, builder.append_basic_block("turns"), builder.append_basic_block("sums")
    builder.branch(loop)
    builder.position_at_end(loop)

    def varying(initially: Any) -> Any:
        value = builder.phi(initially.type)
        value.add_incoming(initially, entry)
        return value

    r, now = varying(_index(0)), [varying(value) for value in state]
    held = [[varying(value) for value in line] for line in sums]
    next_state, after = turn(r, now, held)
    following = builder.add(r, _index(1))
    for value, then in zip((r, *now, *chain(*held)), (following, *next_state, *chain(*after)), strict=True):
        value.add_incoming(then, builder.block)  # a turn may have loops of its own
    builder.cbranch(builder.icmp_signed("<", following, count), loop, end)
    builder.position_at_end(end)
    return next_state, after


def _store_all(builder: Any, sums: list[list[Any]], goals: list[list[Any]], align: int) -> None:
    for total, goal in zip(chain(*sums), chain(*goals), strict=True):
        builder.store(total, goal, align=align)


def _for_each_width(builder: Any, across: Any, most: int, emit: Callable[[int], None]) -> None:
    """Emit code for each number of vectors up to some, and take that for as many as there are."""
    end = builder.append_basic_block("added")
    ways = builder.switch(across, end)
    for number in range(1, most + 1):
        way = builder.append_basic_block("vectors")
        ways.add_case(_index(number), way)
        builder.position_at_end(way)
        emit(number)
        builder.branch(end)
    builder.position_at_end(end)


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
        size = context.get_abi_sizeof(number)

        def start(position: int, begin: Any) -> Any:
            return place_of(context, builder, signature.args[position], args[position], begin)

        left = start(4, args[5])
        right, bits, block = (start(position, _index(0)) for position in (6, 7, 11))
        first, run, apart = args[8:11]
        beyond = builder.sub(builder.add(apart, _index(1)), run)  # from a run's last row to the next run

        def turn(r: Any, state: list[Any], held: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
            (q, left_of_run), taken = state, []
            pitch = _index(VECTORS * width)
            row = [
                builder.load(
                    _vector_at(builder, right, builder.add(builder.mul(q, pitch), _index(j * width)), width),
                    align=size * width,
                )
                for j in range(across)
            ]
            for j in range(across if chosen else 0):
                word = builder.load(builder.gep(bits, [builder.add(builder.mul(q, _index(VECTORS)), _index(j))]))
                word = word if width == word.type.width else builder.trunc(word, ir.IntType(width))
                taken.append(builder.bitcast(word, ir.VectorType(ir.IntType(1), width)))
            after = []
            for i in range(height):
                place = builder.add(builder.mul(r, _index(height)), _index(i))
                every = splat_value(builder, builder.load(builder.gep(left, [place])), width)
                after.append(_added(builder, every, row, held[i], taken))
            still = builder.sub(left_of_run, _index(1))
            ended = builder.icmp_signed("==", still, _index(0))
            following = builder.add(q, builder.select(ended, beyond, _index(1)))
            return [following, builder.select(ended, run, still)], after

        places = [[_index((i * VECTORS + j) * width) for j in range(across)] for i in range(height)]
        goals = [[_vector_at(builder, block, place, width) for place in line] for line in places]
        before = [[builder.load(goal, align=size) for goal in line] for line in goals]
        _, after = _turns(builder, args[3], [first, run], before, turn)
        _store_all(builder, after, goals, size)

    whole = types.int64
    return types.void(lanes, rows, masked, whole, a, whole, b, masks, whole, whole, whole, sums, types.boolean), codegen


@primitive
def add_lane_products(
    typingctx: Any,
    lanes: Any,
    rows: Any,
    masked: Any,
    n: Any,
    x: Any,
    steps: Any,
    places: Any,
    marks: Any,
    factors: Any,
    at: Any,
    pitch: Any,
    valid: Any,
    sums: Any,
    keep: Any,
    fresh: Any,
) -> Any:
    """Add ``factors[i, k] * x[k, j]`` to ``sums[i, j]`` in each lane, k ascending up to n, by fused multiply-adds.

    These are vectors. That of x begins at ``steps[k] + places[j]``, that of the factors at ``at + i * pitch`` for the
    first k, and the sums at `keep`: VECTORS in each of `rows` rows. They begin at 0 if `fresh`. With `masked`, lanes
    take part where neither `marks`, which lies as x does, nor the vector of the factors' row at `valid` is 0. There is
    at least one k.
    """
    if not all(isinstance(number, types.IntegerLiteral) for number in (lanes, rows, masked)):
        return None  # typed again with the literals
    width, height, chosen = (number.literal_value for number in (lanes, rows, masked))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        size = context.get_abi_sizeof(context.get_data_type(sums.dtype))
        n, seen, steps_value, places_value, marked, multipliers, at, pitch, valid, goal, keep, fresh = args[3:]
        where = partial(place_of, context, builder)
        seen, marked = where(x, seen, _index(0)), where(marks, marked, _index(0))
        first_step, first_place = where(steps, steps_value, _index(0)), where(places, places_value, _index(0))
        left, inside = (where(factors, multipliers, begin) for begin in (at, valid))
        block = where(sums, goal, keep)
        columns = [builder.load(builder.gep(first_place, [_index(j)])) for j in range(VECTORS)]

        def vector(pointer: Any, offset: Any) -> Any:
            return builder.load(_vector_at(builder, pointer, offset, width), align=size)

        def turn(k: Any, state: list[Any], held: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
            step, ahead = builder.load(builder.gep(first_step, [k])), builder.mul(k, _index(width))
            spots, taken = [builder.add(step, column) for column in columns], []
            row = [vector(seen, spot) for spot in spots]
            if chosen:
                window, none = vector(inside, ahead), ir.Constant(row[0].type, None)
                there = [builder.fmul(window, vector(marked, spot)) for spot in spots]
                taken = [builder.fcmp_ordered("!=", each, none) for each in there]
            after = []
            for i in range(height):
                factor = vector(left, builder.add(ahead, builder.mul(pitch, _index(i))))
                after.append(_added(builder, factor, row, held[i], taken))
            return state, after

        goals = [
            [_vector_at(builder, block, _index((i * VECTORS + j) * width), width) for j in range(VECTORS)]
            for i in range(height)
        ]
        before = [
            [
                builder.select(fresh, ir.Constant(place.type.pointee, None), builder.load(place, align=size))
                for place in line
            ]
            for line in goals
        ]
        _, after = _turns(builder, n, [], before, turn)
        _store_all(builder, after, goals, size)
        return context.get_dummy_value()

    whole = types.int64
    arrays = x, steps, places, marks, factors
    return types.void(lanes, rows, masked, whole, *arrays, *[whole] * 3, sums, whole, types.boolean), codegen


@primitive
def add_terms(
    typingctx: Any,
    lanes: Any,
    rows: Any,
    most: Any,
    masked: Any,
    across: Any,
    above: Any,
    n: Any,
    x: Any,
    at: Any,
    to_next: Any,
    steps: Any,
    marks: Any,
    marks_at: Any,
    mark_steps: Any,
    factors: Any,
    factors_at: Any,
    to_next_factors: Any,
    sums: Any,
    sums_at: Any,
    pitch: Any,
) -> Any:
    """Add ``factors[q, r, i] * x[q, r, j]`` to ``sums[i, j]``, q and r ascending, by one fused multiply-add each.

    For ``q < above`` and ``r < n``, at least one each, `x` has `across` vectors from ``at + q * to_next + steps[r]``
    on, and `factors` has `rows` numbers from ``factors_at + q * to_next_factors + r * rows`` on. Row i of the sums
    begins at ``sums_at + i * pitch``. There are at most `most` vectors. With `masked`, lanes take part where `marks`,
    from ``marks_at + mark_steps[r]`` on, is not 0.
    """
    if not all(isinstance(number, types.IntegerLiteral) for number in (lanes, rows, most, masked)):
        return None  # typed again with the literals
    width, height, largest, chosen = (number.literal_value for number in (lanes, rows, most, masked))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _for_each_width(builder, args[4], largest, partial(multiply, context, builder, args))
        return context.get_dummy_value()

    def multiply(context: Any, builder: Any, args: Any, number: int) -> None:
        size = context.get_abi_sizeof(context.get_data_type(sums.dtype))
        above, n, seen, at, to_next, steps_value, marked, marks_at, mark_steps_value = args[5:14]
        multipliers, factors_at, to_next_factors, goal, sums_at, pitch = args[14:]
        where = partial(place_of, context, builder)
        first_step, first_mark = where(steps, steps_value, _index(0)), where(mark_steps, mark_steps_value, _index(0))
        seen, block = where(x, seen, _index(0)), where(sums, goal, sums_at)
        marked, left = where(marks, marked, marks_at), where(factors, multipliers, _index(0))

        def vectors(pointer: Any, offset: Any) -> list[Any]:
            places = (builder.add(offset, _index(j * width)) for j in range(number))
            return [builder.load(_vector_at(builder, pointer, place, width), align=size) for place in places]

        def turn_above(_: Any, state: list[Any], held: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
            begin, factors_begin = state

            def turn(r: Any, _: list[Any], held: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
                row = vectors(seen, builder.add(begin, builder.load(builder.gep(first_step, [r]))))
                taken = []
                if chosen:
                    there = vectors(marked, builder.load(builder.gep(first_mark, [r])))
                    taken = [builder.fcmp_ordered("!=", each, ir.Constant(each.type, None)) for each in there]
                after, first = [], builder.add(factors_begin, builder.mul(r, _index(height)))
                for i in range(height):
                    factor = builder.load(builder.gep(left, [builder.add(first, _index(i))]))
                    after.append(_added(builder, splat_value(builder, factor, width), row, held[i], taken))
                return [], after

            _, after = _turns(builder, n, [], held, turn)
            return [builder.add(begin, to_next), builder.add(factors_begin, to_next_factors)], after

        goals = [
            [
                _vector_at(builder, block, builder.add(builder.mul(pitch, _index(i)), _index(j * width)), width)
                for j in range(number)
            ]
            for i in range(height)
        ]
        before = [[builder.load(place, align=size) for place in line] for line in goals]
        _, after = _turns(builder, above, [at, factors_at], before, turn_above)
        _store_all(builder, after, goals, size)

    whole = types.int64
    literals, places = (lanes, rows, most, masked), (x, whole, whole, steps, marks, whole, mark_steps, factors)
    return types.void(*literals, *[whole] * 3, *places, whole, whole, sums, whole, whole), codegen


@primitive
def add_channels(
    typingctx: Any,
    kind: Any,
    lanes: Any,
    rows: Any,
    most: Any,
    each: Any,
    across: Any,
    n: Any,
    x: Any,
    places: Any,
    steps: Any,
    factors: Any,
    at: Any,
    factor_steps: Any,
    starts: Any,
    pitch: Any,
    sums: Any,
    to: Any,
) -> Any:
    """Set ``sums[i, j]`` to ``starts[i, j]`` plus ``x[i, r] * factors[r, j]``, by one fused multiply-add each.

    For r ascending up to n, at least one, the factors are `across` vectors from ``at + factor_steps[r]`` on, and `x`,
    of scalars of a kind, is one at ``places[i] + steps[r]`` for all of them, or, with `each`, as many vectors from
    there on. There are at most `most` vectors, and so many in each row of the sums, which begin at `to`. The rows of
    `starts` lie `pitch` numbers apart.
    """
    if not all(isinstance(number, types.IntegerLiteral) for number in (kind, lanes, rows, most, each)):
        return None  # typed again with the literals
    width, height, largest, own = (number.literal_value for number in (lanes, rows, most, each))
    stored = SCALARS[kind.literal_value]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _for_each_width(builder, args[5], largest, partial(multiply, context, builder, args))
        return context.get_dummy_value()

    def multiply(context: Any, builder: Any, args: Any, number: int) -> None:
        size = context.get_abi_sizeof(context.get_data_type(sums.dtype))
        n, seen, places_value, steps_value, multipliers, at, factor_steps_value, begin, pitch, goal, to = args[6:]
        where, zero = partial(place_of, context, builder), _index(0)
        first_place, first_step = where(places, places_value, zero), where(steps, steps_value, zero)
        first_factor, left = where(factor_steps, factor_steps_value, zero), where(factors, multipliers, at)
        block, starting = where(sums, goal, to), where(starts, begin, zero)
        lines = [where(x, seen, builder.load(builder.gep(first_place, [_index(i)]))) for i in range(height)]

        def vectors(pointer: Any, offset: Any, align: int) -> list[Any]:
            spots = (builder.add(offset, _index(j * width)) for j in range(number))
            return [builder.load(_vector_at(builder, pointer, spot, width), align=align) for spot in spots]

        def turn(r: Any, state: list[Any], held: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
            step = builder.load(builder.gep(first_step, [r]))
            factor = vectors(left, builder.load(builder.gep(first_factor, [r])), size)
            after = []
            for line, before in zip(lines, held, strict=True):
                if own:
                    words = [widen_value(builder, stored, word) for word in vectors(line, step, stored.itemsize)]
                else:
                    word = builder.load(builder.gep(line, [step]), align=stored.itemsize)
                    words = [splat_value(builder, widen_value(builder, stored, word), width)] * number
                after.append([fused(builder, *three) for three in zip(words, factor, before, strict=True)])
            return state, after

        before = [vectors(starting, builder.mul(pitch, _index(i)), size) for i in range(height)]
        _, after = _turns(builder, n, [], before, turn)
        goals = [
            [_vector_at(builder, block, _index((i * largest + j) * width), width) for j in range(number)]
            for i in range(height)
        ]
        _store_all(builder, after, goals, size)

    whole = types.int64
    literals, given = (kind, lanes, rows, most, each), (x, places, steps, factors, whole, factor_steps, starts, whole)
    return types.void(*literals, whole, whole, *given, sums, whole), codegen


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
