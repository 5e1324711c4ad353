"""Vectors of samples that do not lie side by side: gathered by permutations of registers, and transposed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import inf
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

from gpu_upsample.arithmetic import Vector
from gpu_upsample.cpu.features import has_feature
from gpu_upsample.cpu.vectors import BYTES, place_of, primitive, shuffled, splat_value, vector_place_of


# ---- samples that do not lie side by side -------------------------------------------------------------------
class _Permutation(NamedTuple):
    """Instructions that pick from registers what an index names, into a vector as long as one of them.

    Attributes
    ----------
    feature : str
        What the processor must have, by LLVM's name.
    unit : int
        Bits of what is picked; a larger element is picked in parts.
    size : int
        Bytes of a register.
    functions : tuple of str
        Names of LLVM's functions: for one register, for two, and so on.
    leads : bool
        Whether the index follows the first register, instead of the last one.
    wraps : bool
        Whether the last bits of an index count alone.
    choice : float
        What it costs to choose between two results by an index.
    """

    feature: str
    unit: int
    size: int
    functions: tuple[str, ...]
    leads: bool = True
    wraps: bool = True
    choice: float = 3

    @classmethod
    def of_two(cls, feature: str, unit: int, one: str, two: str) -> _Permutation:
        """Return those of AVX-512."""
        names = f"llvm.x86.avx512.permvar.{one}.512", f"llvm.x86.avx512.vpermi2var.{two}.512"
        return cls(feature, unit, 64, names, choice=0.5)


_WORDS = _Permutation("avx2", 32, 32, ("llvm.x86.avx2.permd",))
_BYTES = _Permutation("ssse3", 8, 16, ("llvm.x86.ssse3.pshuf.b.128",), wraps=False)
_TBL = tuple(f"llvm.aarch64.neon.tbl{n}.v16i8" for n in range(1, 5))
_TABLES = _Permutation("neon", 8, 16, _TBL, leads=False, wraps=False)

# Bits of an element -> how it can be picked, the fastest way first.
_PERMUTATIONS = {
    8: (_Permutation.of_two("avx512vbmi", 8, "qi", "qi"), _BYTES, _TABLES),
    16: (_Permutation.of_two("avx512bw", 16, "hi", "hi"), _BYTES, _TABLES),
    32: (_Permutation.of_two("avx512f", 32, "si", "d"), _WORDS, _TABLES),
    64: (_Permutation.of_two("avx512f", 64, "di", "q"), _WORDS, _TABLES),
}


@cache
def _permutation(bits: int) -> _Permutation | None:
    """Return how this processor picks elements of so many bits from registers, if it can."""
    return next((how for how in _PERMUTATIONS[bits] if has_feature(how.feature)), None)


def register_size(itemsize: int) -> int:
    """Return the bytes of the registers from which elements of `itemsize` bytes are picked."""
    how = _permutation(8 * itemsize)
    return how.size if how else BYTES


def results_of(lanes: int, itemsize: int) -> int:
    """Return how many such registers a vector of `lanes` elements fills: each is picked from registers of its own."""
    return -(-lanes * itemsize // register_size(itemsize))


def registers_at_once(itemsize: int) -> int:
    """Return from how many registers an instruction picks."""
    how = _permutation(8 * itemsize)
    return len(how.functions) if how else 1


def picking_cost(registers: int, itemsize: int, lanes: int) -> float:
    """Return about how many instructions pick a vector of elements, each part of it from so many registers."""
    how = _permutation(8 * itemsize)
    if not how:
        return inf
    picks, parts = -(-registers // len(how.functions)), 8 * itemsize // how.unit
    return results_of(lanes, itemsize) * (picks + how.choice * (picks - 1) + 2 * (parts > 1))


def _permute(builder: Any, how: _Permutation, parts: list[Any], index: Any) -> Any:
    """Return elements of several registers."""
    kind = parts[0].type
    if len(parts) > len(how.functions):
        half = 1 << (len(parts) - 1).bit_length() - 1
        near, far = (_permute(builder, how, some, index) for some in (parts[:half], parts[half:]))
        bit = ir.Constant(index.type, [half * kind.count] * index.type.count)
        is_near = builder.icmp_unsigned("==", builder.and_(index, bit), ir.Constant(index.type, None))
        return builder.select(is_near, near, far)
    units = ir.VectorType(ir.IntType(how.unit), how.size * 8 // how.unit)
    number = _in_units(builder, how, index, kind.count * len(parts))
    parts = [builder.bitcast(part, units) for part in parts]
    args = [parts[0], number, *parts[1:]] if how.leads else [*parts, number]
    function = ir.FunctionType(units, [arg.type for arg in args])
    picked = builder.call(cgutils.get_or_insert_function(builder.module, function, how.functions[len(parts) - 1]), args)
    return builder.bitcast(picked, kind)


def _in_units(builder: Any, how: _Permutation, index: Any, count: int) -> Any:
    """Return an index of elements, of which there are `count`, as one of the units that these are picked in."""
    parts = index.type.element.width // how.unit
    if not how.wraps:
        last_bits = (1 << (count - 1).bit_length()) - 1
        index = builder.and_(index, ir.Constant(index.type, [last_bits] * index.type.count))
    if parts == 1:
        return index
    # The indices of the parts lie side by side in the bits of an element: number parts * index and those behind it.
    factor, term = sum(parts << how.unit * i for i in range(parts)), sum(i << how.unit * i for i in range(parts))
    index = builder.mul(index, ir.Constant(index.type, [factor] * index.type.count))
    index = builder.add(index, ir.Constant(index.type, [term] * index.type.count))
    return builder.bitcast(index, ir.VectorType(ir.IntType(how.unit), index.type.count * parts))


def _gather_singly(builder: Any, base: Any, kind: Any, index: Any) -> Any:
    """Return the elements one by one: LLVM knows no generic permutation, and its gather no more than this."""
    result = ir.Constant(kind, ir.Undefined)
    for lane in range(kind.count):
        number = ir.Constant(ir.IntType(32), lane)
        offset = builder.zext(builder.extract_element(index, number), ir.IntType(64))
        result = builder.insert_element(result, builder.load(builder.gep(base, [offset])), number)
    return result


@primitive
def gather(typingctx: Any, registers: Any, array: Any, at: Any, shift: Any, index: Any, turn: Any) -> Any:
    """Return the elements ``array[at + shift + index + turn]``, one per lane.

    They all lie in the `registers` registers from ``at + shift`` on, of `register_size` bytes each, which may be read
    as a whole; where that is 0, anywhere. Each of the `results_of` a vector has an `at` of its own, or all have one.
    """
    number = registers.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, bits = place_of(context, builder, array, args[1], args[3]), array.dtype.bitwidth
        begins = cgutils.unpack_tuple(builder, args[2]) if isinstance(at, types.BaseTuple) else [args[2]]
        bases, how = [builder.gep(data, [begin]) for begin in begins], _permutation(bits)
        if number == 0 or how is None:
            base = builder.gep(bases[0], [args[5]])
            return _gather_singly(builder, base, ir.VectorType(base.type.pointee, index.lanes), args[4])
        held = ir.VectorType(data.type.pointee, how.size * 8 // bits)
        words = ir.VectorType(ir.IntType(bits), index.lanes)
        places = args[4] if args[4].type == words else builder.zext(args[4], words)
        term = args[5] if bits == args[5].type.width else builder.trunc(args[5], words.element)
        places = builder.add(places, splat_value(builder, term, index.lanes))
        results = results_of(index.lanes, bits // 8)
        picked = []
        for result, base in enumerate(bases * (results // len(bases))):
            place = [builder.gep(base, [ir.Constant(ir.IntType(64), part * held.count)]) for part in range(number)]
            parts = [builder.load(builder.bitcast(each, held.as_pointer()), align=bits // 8) for each in place]
            picked.append(_permute(builder, how, parts, _cut(builder, places, result * held.count, held.count)))
        return _cut(builder, _side_by_side(builder, picked), 0, index.lanes)

    return Vector(array.dtype, index.lanes)(registers, array, at, types.intp, index, types.intp), codegen


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
def _transposed(builder: Any, held: list[Any], rows: int) -> list[Any]:
    """Transpose a matrix of so many rows, of which vectors hold one number after another.

    If there is a power of two of vectors, there has to be one of rows.
    """
    number, lanes = len(held), held[0].type.count
    if number == 1:
        return held
    if number & (number - 1) == 0:
        # Every pass moves the index of a vector and that within it on by one bit, as one number.
        for _ in range(rows.bit_length() - 1):
            pairs = zip(held[: number // 2], held[number // 2 :], strict=True)
            held = [_interleaved(builder, a, b, half * lanes // 2) for a, b in pairs for half in (0, 1)]
        return held
    columns, turned = number * lanes // rows, []
    for first in range(0, number * lanes, lanes):  # each vector is brought together from all others
        wanted = [at % rows * columns + at // rows for at in range(first, first + lanes)]
        picked = held[0]
        for part, value in enumerate(held):
            chosen = [at % lanes + lanes if at // lanes == part else lane for lane, at in enumerate(wanted)]
            picked = shuffled(builder, picked, value, chosen)
        turned.append(picked)
    return turned


def _interleaved(builder: Any, a: Any, b: Any, first: int) -> Any:
    lanes = a.type.count
    return shuffled(builder, a, b, [first + i // 2 + lanes * (i % 2) for i in range(lanes)])


def _writing_transposed(lanes: int, array: Any, target: Any, rows: int, begins: Callable[..., list[Any]]) -> Any:
    """Return the code that loads vectors from where they begin, and writes the transposed matrix that they hold."""
    align = array.dtype.bitwidth // 8

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, _, source, *places, goal, to = args
        where = partial(vector_place_of, context, builder)
        held = [builder.load(where(array, source, at, lanes), align=align) for at in begins(builder, *places)]
        for number, vector in enumerate(_transposed(builder, held, rows)):
            offset = builder.add(to, ir.Constant(to.type, number * lanes))
            builder.store(vector, where(target, goal, offset, lanes), align=align)
        return context.get_dummy_value()

    return codegen


@primitive
def transpose(typingctx: Any, rows: Any, lanes: Any, array: Any, at: Any, pitch: Any, target: Any, to: Any) -> Any:
    """Set ``target[to + lane * rows + row]`` to ``array[at + row * pitch + lane]``: columns one after another."""
    number, width = rows.literal_value, lanes.literal_value

    def begins(builder: Any, at: Any, pitch: Any) -> list[Any]:
        return [builder.add(at, builder.mul(pitch, ir.Constant(at.type, row))) for row in range(number)]

    whole = types.intp
    signature = types.void(rows, lanes, array, whole, whole, target, whole)
    return signature, _writing_transposed(width, array, target, number, begins)


@primitive
def deinterleave(typingctx: Any, step: Any, lanes: Any, array: Any, at: Any, target: Any, to: Any) -> Any:
    """Set ``target[to + i * lanes + lane]`` to ``array[at + lane * step + i]``, for ``i < step``."""
    number, width = step.literal_value, lanes.literal_value

    def begins(builder: Any, at: Any) -> list[Any]:
        return [builder.add(at, ir.Constant(at.type, part * width)) for part in range(number)]

    signature = types.void(step, lanes, array, types.intp, target, types.intp)
    return signature, _writing_transposed(width, array, target, width, begins)
