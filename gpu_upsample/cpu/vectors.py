"""Vector registers for Numba: scalars side by side, as LLVM's vectors are, on which the arithmetic works lane by lane.

LLVM's own vectoriser gives up where samples are gathered, where more than a few arrays could overlap, and on stores
that pass the caches by. These few functions say what is meant; LLVM splits a vector that the machine does not have
into what it has.

All arrays are flat and contiguous, and nothing is checked: the caller keeps within them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_cast, models, register_model

from gpu_upsample.arithmetic import SCALARS, Vector, carrier_of, narrow_value

primitive: Any = intrinsic  # what it decorates is called without the first parameter

BYTES = 64
"""Bytes of a vector of accumulators: a cache line."""

X86 = binding.get_process_triple().startswith(("x86_64", "i386", "i686"))
"""Whether this machine is one of those that have LLVM's functions for x86."""


def aligned(size: int, dtype: Any) -> Any:
    """Return an uninitialised flat array that begins at the start of a cache line."""
    length = size * np.dtype(dtype).itemsize
    held = np.empty(length + BYTES, np.uint8)
    begin = -held.ctypes.data % BYTES
    return held[begin : begin + length].view(dtype)


def aligned_copy(table: Any) -> Any:
    """Return a copy of a flat array that begins at the start of a cache line."""
    copied = aligned(table.size, table.dtype)
    copied[:] = table
    return copied


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        scalar = dmm.lookup(fe_type.scalar).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(scalar, fe_type.lanes))


@lower_cast(Vector, Vector)
def _cast(context: Any, builder: Any, given: Any, wanted: Any, value: Any) -> Any:
    """Let what was widened to one floating-point type be added up in another, as it may be on scalars."""
    convert = builder.fpext if wanted.scalar.bitwidth > given.scalar.bitwidth else builder.fptrunc
    return convert(value, context.get_value_type(wanted))


def _place(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Return the pointer to one element of an array, or behind another pointer."""
    if isinstance(array_type, types.CPointer):
        return builder.gep(array, [at])
    if array_type.layout != "C":
        raise TypeError(f"the elements of {array_type} do not follow one another")
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [at])


def _vector_place(context: Any, builder: Any, array_type: Any, array: Any, at: Any, lanes: int) -> Any:
    place = _place(context, builder, array_type, array, at)
    return builder.bitcast(place, ir.VectorType(place.type.pointee, lanes).as_pointer())


def splat_value(builder: Any, value: Any, lanes: int) -> Any:
    """Emit a vector of one LLVM value."""
    kind = ir.VectorType(value.type, lanes)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), everywhere)


def _literal(value: Any) -> int | None:
    return value.literal_value if isinstance(value, types.IntegerLiteral) else None


@primitive
def pointer(typingctx: Any, array: Any, at: Any) -> Any:
    """Return where an element lies, as what the other functions take for an array.

    To choose between arrays, Numba would count references, each time waiting until all stores have arrived.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _place(context, builder, array, args[0], args[1])

    return types.CPointer(array.dtype)(array, types.intp), codegen


@primitive
def at_line(typingctx: Any, array: Any, place: Any) -> Any:
    """Return where an array may begin for its element `place` to be at the start of a cache line."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        size, number = array.dtype.bitwidth // 8, args[1].type
        zero, least = ir.Constant(number, 0), ir.Constant(number, BYTES - 1)
        address = builder.ptrtoint(_place(context, builder, array, args[0], args[1]), number)
        astray = builder.and_(builder.sub(zero, address), least)
        return _place(context, builder, array, args[0], builder.udiv(astray, ir.Constant(number, size)))

    return types.CPointer(array.dtype)(array, types.intp), codegen


def _invariant(builder: Any, value: Any) -> Any:
    """Mark a load of what nobody writes to."""
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


def _loading(lanes: Any, array: Any, finished: Callable[[Any, Any], Any]) -> Any:
    """Return the signature and the code of a load, of which `finished` makes its value."""
    number = _literal(lanes)
    if number is None:
        return None  # typed again with the literal

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _vector_place(context, builder, array, args[1], args[2], number)
        return finished(builder, builder.load(place, align=array.dtype.bitwidth // 8))

    return Vector(array.dtype, number)(lanes, array, types.intp), codegen


@primitive
def load(typingctx: Any, lanes: Any, array: Any, at: Any) -> Any:
    """Return as many elements of an array, from one on; they need not be aligned."""
    return _loading(lanes, array, lambda builder, value: value)


@primitive
def table(typingctx: Any, lanes: Any, array: Any, at: Any) -> Any:
    """Return as many elements of an array that nobody writes to: the load may move out of a loop."""
    return _loading(lanes, array, _invariant)


@primitive
def store(typingctx: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector; it need not be aligned."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _vector_place(context, builder, array, args[0], args[1], vector.lanes)
        value = args[2]
        if vector.scalar != array.dtype:
            value = context.cast(builder, value, vector, Vector(array.dtype, vector.lanes))
        builder.store(value, place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@primitive
def copy(typingctx: Any, array: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    """Copy `count` elements from one array to another of the same type."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = _place(context, builder, array, args[0], args[1])
        given = _place(context, builder, source, args[2], args[3])
        cgutils.raw_memcpy(builder, to, given, args[4], array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, source, types.intp, types.intp), codegen


def _store_past(builder: Any, value: Any, place: Any, align: int) -> None:
    """Emit a store past the caches."""
    written = builder.store(value, place, align=align)
    written.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


@primitive
def stream(typingctx: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector of whole cache lines, or an aligned part of one, past the caches."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _vector_place(context, builder, array, args[0], args[1], vector.lanes)
        _store_past(builder, args[2], place, min(BYTES, vector.lanes * array.dtype.bitwidth // 8))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@primitive
def stream_line(typingctx: Any, array: Any, at: Any, source: Any, start: Any) -> Any:
    """Copy a cache line from one array to another of the same type, past the caches."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = BYTES * 8 // array.dtype.bitwidth
        value = builder.load(_vector_place(context, builder, source, args[2], args[3], lanes), align=BYTES)
        _store_past(builder, value, _vector_place(context, builder, array, args[0], args[1], lanes), BYTES)
        return context.get_dummy_value()

    return types.void(array, types.intp, source, types.intp), codegen


@primitive
def prefetch(typingctx: Any, array: Any, at: Any) -> Any:
    """Fetch the cache line of an element that will be written soon, without waiting; there may be no such element."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, array, args[0], args[1])
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        write, near, data = (ir.Constant(number, value) for value in (1, 3, 1))
        builder.call(function, [builder.bitcast(place, pointer), write, near, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@primitive
def fence(typingctx: Any) -> Any:
    """Wait until all that was streamed can be seen by other threads."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@primitive
def store_first(typingctx: Any, array: Any, at: Any, vector: Any, count: Any) -> Any:
    """Write the first `count` elements of a vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, array, args[0], args[1])
        whole = cgutils.alloca_once_value(builder, args[2])
        cgutils.raw_memcpy(builder, place, builder.bitcast(whole, place.type), args[3], array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), codegen


@primitive
def load_first(typingctx: Any, lanes: Any, array: Any, at: Any, count: Any) -> Any:
    """Return a vector of `count` elements of an array; what follows them in the vector means nothing."""
    number = _literal(lanes)
    if number is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _place(context, builder, array, args[1], args[2])
        kind = ir.VectorType(place.type.pointee, number)
        whole = cgutils.alloca_once_value(builder, ir.Constant(kind, None))
        cgutils.raw_memcpy(builder, builder.bitcast(whole, place.type), place, args[3], array.dtype.bitwidth // 8)
        return builder.load(whole)

    return Vector(array.dtype, number)(lanes, array, types.intp, types.intp), codegen


@primitive
def splat(typingctx: Any, lanes: Any, value: Any) -> Any:
    """Return a vector of one value."""
    number = _literal(lanes)
    if number is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat_value(builder, args[1], number)

    return Vector(value, number)(lanes, value), codegen


def _entry(context: Any, builder: Any, table_type: Any, table: Any, at: Any) -> Any:
    return _invariant(builder, builder.load(_place(context, builder, table_type, table, at)))


@primitive
def entry(typingctx: Any, table: Any, at: Any) -> Any:
    """Return one element of an array that nobody writes to: the load may move out of a loop."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _entry(context, builder, table, *args)

    return table.dtype(table, types.intp), codegen


@primitive
def broadcast(typingctx: Any, lanes: Any, table: Any, at: Any) -> Any:
    """Return a vector of one element of an array that nobody writes to."""
    number = _literal(lanes)
    if number is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat_value(builder, _entry(context, builder, table, *args[1:]), number)

    return Vector(table.dtype, number)(lanes, table, types.intp), codegen


@primitive
def keep(typingctx: Any, k: Any, count: Any, new: Any, old: Any) -> Any:
    """Return the lanes of `new` whose `count` lies above `k`, and of `old` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = builder.trunc(args[0], args[1].type.element)
        counted = builder.icmp_signed("<", splat_value(builder, number, new.lanes), args[1])
        return builder.select(counted, args[2], args[3])

    return new(types.intp, count, new, new), codegen


@primitive
def unless_zero(typingctx: Any, factor: Any, new: Any, old: Any) -> Any:
    """Return the lanes of `new` where `factor` is not zero, and of `old` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type, None)
        integer = isinstance(args[0].type.element, ir.IntType)
        differs = builder.icmp_unsigned if integer else builder.fcmp_unordered
        return builder.select(differs("!=", args[0], zero), args[1], args[2])

    return new(new, new, new), codegen


# ---- sums that become scalars in memory ---------------------------------------------------------------------
def _x86(builder: Any, name: str, result: Any, *args: Any) -> Any:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx512.{name}.512"), args)


def _to_bytes(builder: Any, value: Any) -> Any:
    """Round 64 float32 sums to the nearest uint8, ties to even: conversion and packing saturate by themselves.

    What is beyond the range of int32 becomes its lowest value, right for a NaN and below, wrong above.
    """
    words, most = ir.VectorType(ir.IntType(32), 16), ir.Constant(value.type, [255.0] * 64)
    value = builder.select(builder.fcmp_ordered(">", value, most), most, value)
    every, to_nearest = ir.Constant(ir.IntType(16), -1), ir.Constant(ir.IntType(32), 8)
    parts = []
    for first in range(0, 64, 16):
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), 16), list(range(first, first + 16)))
        part = builder.shuffle_vector(value, value, lanes)
        none = ir.Constant(words, ir.Undefined)
        parts.append(_x86(builder, "mask.cvtps2dq", words, part, none, every, to_nearest))
    halves = ir.VectorType(ir.IntType(16), 32)
    pairs = [_x86(builder, "packusdw", halves, *parts[i : i + 2]) for i in (0, 2)]
    # Packing takes 16 bytes of one and of the other in turn.
    packed = builder.bitcast(_x86(builder, "packuswb", ir.VectorType(ir.IntType(8), 64), *pairs), words)
    order = ir.Constant(words, [4 * (i % 4) + i // 4 for i in range(16)])
    return builder.bitcast(builder.shuffle_vector(packed, packed, order), ir.VectorType(ir.IntType(8), 64))


@primitive
def narrow(typingctx: Any, kind: Any, vector: Any) -> Any:
    """Return accumulators as stored scalars, as the scalar function of this name does."""
    number = _literal(kind)
    if number is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        storage = SCALARS[number]
        if storage.name == "uint8" and vector.lanes == 64 and _has(context, "+avx512bw"):
            return _to_bytes(builder, args[1])
        return narrow_value(builder, storage, args[1])

    return Vector(carrier_of(number), vector.lanes)(kind, vector), codegen


# ---- samples that do not lie side by side -------------------------------------------------------------------
# Bits of an element -> what the machine must have, and the names of the instructions that permute the elements of
# one 64-byte register and of two.
_PERMUTATIONS = {
    8: ("+avx512vbmi", "llvm.x86.avx512.permvar.qi.512", "llvm.x86.avx512.vpermi2var.qi.512"),
    16: ("+avx512bw", "llvm.x86.avx512.permvar.hi.512", "llvm.x86.avx512.vpermi2var.hi.512"),
    32: ("+avx512f", "llvm.x86.avx512.permvar.si.512", "llvm.x86.avx512.vpermi2var.d.512"),
    64: ("+avx512f", "llvm.x86.avx512.permvar.di.512", "llvm.x86.avx512.vpermi2var.q.512"),
}


def _permute(builder: Any, parts: list[Any], index: Any) -> Any:
    """Return elements of several registers: an instruction permutes two, and sees but the last bits of an index."""
    kind = parts[0].type
    if len(parts) > 2:
        half = 1 << (len(parts) - 1).bit_length() - 1
        near, far = (_permute(builder, some, index) for some in (parts[:half], parts[half:]))
        bit = ir.Constant(index.type, [half * kind.count] * index.type.count)
        is_near = builder.icmp_unsigned("==", builder.and_(index, bit), ir.Constant(index.type, None))
        return builder.select(is_near, near, far)
    words = ir.VectorType(ir.IntType(_bits(kind.element)), kind.count)
    parts = [builder.bitcast(part, words) for part in parts]
    name = _PERMUTATIONS[words.element.width][len(parts)]
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(words, [words] * (len(parts) + 1)), name)
    args = [*parts, index] if len(parts) == 1 else [parts[0], index, parts[1]]
    return builder.bitcast(builder.call(function, args), kind)


def _bits(scalar: Any) -> int:
    return scalar.width if isinstance(scalar, ir.IntType) else 32 if isinstance(scalar, ir.FloatType) else 64


def _gather_singly(builder: Any, base: Any, kind: Any, index: Any) -> Any:
    """Return the elements one by one: LLVM knows no generic permutation, and its gather no more than this."""
    result = ir.Constant(kind, ir.Undefined)
    for lane in range(kind.count):
        number = ir.Constant(ir.IntType(32), lane)
        offset = builder.zext(builder.extract_element(index, number), ir.IntType(64))
        result = builder.insert_element(result, builder.load(builder.gep(base, [offset])), number)
    return result


def _has(context: Any, feature: str) -> bool:
    return feature in context.codegen().magic_tuple()[2].split(",")


@primitive
def gather(typingctx: Any, spread: Any, array: Any, at: Any, index: Any, turn: Any) -> Any:
    """Return the elements ``array[at + index + turn]``, one per lane.

    They all lie in the `spread` registers from `at` on, which may be read as a whole; where that is 0, anywhere. A
    register may hold more elements than there are lanes.
    """
    number = _literal(spread)
    if number is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base, bits = _place(context, builder, array, args[1], args[2]), array.dtype.bitwidth
        if number == 0 or not _has(context, _PERMUTATIONS[bits][0]):
            base = builder.gep(base, [args[4]])
            return _gather_singly(builder, base, ir.VectorType(base.type.pointee, index.lanes), args[3])
        held = ir.VectorType(base.type.pointee, BYTES * 8 // bits)
        words = ir.VectorType(ir.IntType(bits), index.lanes)
        places = args[3] if args[3].type == words else builder.zext(args[3], words)
        place = args[4] if bits == args[4].type.width else builder.trunc(args[4], words.element)
        places = builder.add(places, splat_value(builder, place, index.lanes))
        parts = []
        for part in range(number):
            place = builder.gep(base, [ir.Constant(ir.IntType(64), part * held.count)])
            parts.append(builder.load(builder.bitcast(place, held.as_pointer()), align=bits // 8))
        some = (_cut(builder, places, first, held.count) for first in range(0, index.lanes, held.count))
        picked = _side_by_side(builder, [_permute(builder, parts, each) for each in some])
        return _cut(builder, picked, 0, index.lanes)

    return Vector(array.dtype, index.lanes)(spread, array, types.intp, index, types.intp), codegen


def _cut(builder: Any, vector: Any, first: int, lanes: int) -> Any:
    """Return as many lanes of a vector from one on; those that it does not have mean nothing."""
    picked = [min(first + lane, vector.type.count) for lane in range(lanes)]
    numbers = ir.Constant(ir.VectorType(ir.IntType(32), lanes), picked)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), numbers)


def _side_by_side(builder: Any, parts: list[Any]) -> Any:
    """Return one vector of the lanes of several, a power of two."""
    while len(parts) > 1:
        lanes = 2 * parts[0].type.count
        numbers = ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(lanes)))
        parts = [builder.shuffle_vector(a, b, numbers) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


# ---- rows that become columns -------------------------------------------------------------------------------
def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Transpose a matrix: every pass moves the index of a vector and that within it on by one bit, as one number."""
    number = len(rows)
    for _ in range(number.bit_length() - 1):
        pairs = zip(rows[: number // 2], rows[number // 2 :], strict=True)
        rows = [_interleaved(builder, a, b, half * a.type.count // 2) for a, b in pairs for half in (0, 1)]
    return rows


def _interleaved(builder: Any, a: Any, b: Any, first: int) -> Any:
    lanes = a.type.count
    picked = [first + i // 2 + lanes * (i % 2) for i in range(lanes)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), lanes), picked))


@primitive
def transpose(typingctx: Any, rows: Any, lanes: Any, array: Any, at: Any, pitch: Any, target: Any, to: Any) -> Any:
    """Write the columns of `rows` vectors, which begin `pitch` elements apart, one after another."""
    number, width = _literal(rows), _literal(lanes)
    if number is None or width is None:
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, _, source, at, pitch, goal, to = args
        align, held = array.dtype.bitwidth // 8, []
        for row in range(number):
            offset = builder.add(at, builder.mul(pitch, ir.Constant(at.type, row)))
            held.append(builder.load(_vector_place(context, builder, array, source, offset, width), align=align))
        for row, vector in enumerate(_transposed(builder, held)):
            offset = builder.add(to, ir.Constant(to.type, row * width))
            builder.store(vector, _vector_place(context, builder, target, goal, offset, width), align=align)
        return context.get_dummy_value()

    whole = types.intp
    return types.void(rows, lanes, array, whole, whole, target, whole), codegen
