"""Vectors of samples that do not lie side by side: gathered by permutations of registers, and transposed."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from gpu_upsample.arithmetic import Vector
from gpu_upsample.cpu.features import has_feature
from gpu_upsample.cpu.vectors import BYTES, place_of, primitive, shuffled, splat_value, vector_place_of

# ---- samples that do not lie side by side -------------------------------------------------------------------
# Bits of an element -> what the machine must have, and the names of the instructions that permute the elements of
# one 64-byte register and of two.
_PERMUTATIONS = {
    8: ("avx512vbmi", "llvm.x86.avx512.permvar.qi.512", "llvm.x86.avx512.vpermi2var.qi.512"),
    16: ("avx512bw", "llvm.x86.avx512.permvar.hi.512", "llvm.x86.avx512.vpermi2var.hi.512"),
    32: ("avx512f", "llvm.x86.avx512.permvar.si.512", "llvm.x86.avx512.vpermi2var.d.512"),
    64: ("avx512f", "llvm.x86.avx512.permvar.di.512", "llvm.x86.avx512.vpermi2var.q.512"),
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


@primitive
def gather(typingctx: Any, registers: Any, array: Any, at: Any, index: Any, turn: Any) -> Any:
    """Return the elements ``array[at + index + turn]``, one per lane.

    They all lie in the `registers` registers from `at` on, which may be read as a whole; where that is 0, anywhere. A
    register may hold more elements than there are lanes.
    """
    number = registers.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base, bits = place_of(context, builder, array, args[1], args[2]), array.dtype.bitwidth
        if number == 0 or not has_feature(_PERMUTATIONS[bits][0]):
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

    return Vector(array.dtype, index.lanes)(registers, array, types.intp, index, types.intp), codegen


def _cut(builder: Any, vector: Any, first: int, lanes: int) -> Any:
    """Return as many lanes of a vector from one on; those that it does not have mean nothing."""
    none = ir.Constant(vector.type, ir.Undefined)
    return shuffled(builder, vector, none, [min(first + lane, vector.type.count) for lane in range(lanes)])


def _side_by_side(builder: Any, parts: list[Any]) -> Any:
    """Return one vector of the lanes of several, a power of two."""
    while len(parts) > 1:
        lanes = range(2 * parts[0].type.count)
        parts = [shuffled(builder, a, b, lanes) for a, b in zip(parts[::2], parts[1::2], strict=True)]
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
    return shuffled(builder, a, b, [first + i // 2 + lanes * (i % 2) for i in range(lanes)])


@primitive
def transpose(typingctx: Any, rows: Any, lanes: Any, array: Any, at: Any, pitch: Any, target: Any, to: Any) -> Any:
    """Write the columns of `rows` vectors, which begin `pitch` elements apart, one after another."""
    number, width = rows.literal_value, lanes.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, _, source, at, pitch, goal, to = args
        align, held = array.dtype.bitwidth // 8, []
        for row in range(number):
            offset = builder.add(at, builder.mul(pitch, ir.Constant(at.type, row)))
            held.append(builder.load(vector_place_of(context, builder, array, source, offset, width), align=align))
        for row, vector in enumerate(_transposed(builder, held)):
            offset = builder.add(to, ir.Constant(to.type, row * width))
            builder.store(vector, vector_place_of(context, builder, target, goal, offset, width), align=align)
        return context.get_dummy_value()

    whole = types.intp
    return types.void(rows, lanes, array, whole, whole, target, whole), codegen
