"""The primitives that the CUDA kernels are written in.

A kernel is built against a machine: a namespace of the scalar arithmetic that both backends share, of memory
accesses and of the thread's place in the grid. `DEVICE` is the machine for a GPU. The test suite builds the same
kernels against a machine of plain host functions that check every access.

All are intrinsics or inlined: unlike device functions, they can be compiled on a machine without a driver.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from types import SimpleNamespace
from typing import Any

import numba.cuda
from llvmlite import ir
from numba import types
from numba.cuda import cgutils, nvvmutils  # type: ignore[attr-defined]
from numba.cuda.extending import intrinsic

from gpu_upsample import arithmetic


def _special_register(name: str) -> Any:
    @intrinsic
    def read(typingctx: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return nvvmutils.call_sreg(builder, name)

        return types.uint32(), codegen

    return read


def _address(builder: Any, pointer: Any, index: Any) -> Any:
    # Indices are unsigned: widen them with zeros. A bare gep on 32 bits would extend the sign.
    wide = ir.IntType(64)
    return builder.gep(pointer, [builder.zext(index, wide) if index.type.width < 64 else index])


def _lane_pointers(context: Any, builder: Any, array_type: Any, array: Any, lanes: int) -> list[Any]:
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return [builder.gep(data, [ir.Constant(ir.IntType(64), lane)]) for lane in range(lanes)]


def _access(context: Any, dtype: Any, count: int) -> tuple[Any, int, int, Any, int]:
    """Return how `count` neighbours are accessed: a word, its scalars, the words at once, their type and alignment.

    Scalars of 1 and 2 bytes travel in words: a vector of more than four scalars would be split.
    """
    size = dtype.bitwidth // 8
    together = gcd(count, 16 // size)
    holder, held = (context.get_data_type(dtype), 1) if size >= 4 else (ir.IntType(32), 4 // size)
    if together < held:
        holder, held = ir.IntType(8 * size * together), together
    words = together // held
    return holder, held, words, (ir.VectorType(holder, words) if words > 1 else holder), together * size


def _part(builder: Any, address: Any, moved: Any, number: int) -> Any:
    """Return the address of one of the accesses to neighbours."""
    pointer = builder.bitcast(address, moved.as_pointer())
    return builder.gep(pointer, [ir.Constant(ir.IntType(64), number)])


def build_accesses(intrinsic: Callable[..., Any]) -> SimpleNamespace:
    """Return the accesses to memory as intrinsics of one target: GPUs, or the host where tests run them.

    ``load(pointer, index)``, ``load_near(pointer, index, offset)``, ``load_lanes(pointer, index, lanes, count)`` and
    ``store_lanes(pointer, index, lanes, count)``.
    """

    @intrinsic
    def load(typingctx: Any, pointer: Any, index: Any) -> Any:
        """Return the scalar at an index of a table or an array that no kernel writes."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_address(builder, *args))
            value.set_metadata("invariant.load", builder.module.add_metadata([]))
            return value

        return pointer.dtype(pointer, index), codegen

    @intrinsic
    def load_near(typingctx: Any, pointer: Any, index: Any, offset: Any) -> Any:
        """Return the scalar `offset` behind an index: constant offsets share the computation of one address."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(builder.gep(_address(builder, *args[:2]), [args[2]]))
            value.set_metadata("invariant.load", builder.module.add_metadata([]))
            return value

        return pointer.dtype(pointer, index, types.int64), codegen

    @intrinsic
    def load_lanes(typingctx: Any, pointer: Any, index: Any, lanes: Any, count: Any) -> Any:
        """Load `count` neighbours into a local array, 16 bytes at once or what divides them, at such an address."""
        if not isinstance(count, types.IntegerLiteral):
            return None
        number = count.literal_value

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            holder, held, words, moved, alignment = _access(context, pointer.dtype, number)
            address = _address(builder, args[0], args[1])
            targets = _lane_pointers(context, builder, lanes, args[2], number)
            scalar = context.get_data_type(pointer.dtype)
            for first in range(0, number, words * held):
                value = builder.load(_part(builder, address, moved, first // (words * held)), align=alignment)
                value.set_metadata("invariant.load", builder.module.add_metadata([]))
                for word in range(words):
                    part = builder.extract_element(value, ir.Constant(ir.IntType(32), word)) if words > 1 else value
                    for lane in range(held):
                        if held > 1:
                            shifted = builder.lshr(part, ir.Constant(holder, lane * scalar.width))
                            builder.store(builder.trunc(shifted, scalar), targets[first + word * held + lane])
                        else:
                            builder.store(part, targets[first + word])
            return context.get_dummy_value()

        return types.void(pointer, index, lanes, count), codegen

    @intrinsic
    def store_lanes(typingctx: Any, pointer: Any, index: Any, lanes: Any, count: Any) -> Any:
        """Store `count` neighbours from a local array, 16 bytes at once or what divides them, at such an address."""
        if not isinstance(count, types.IntegerLiteral):
            return None
        number = count.literal_value

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            holder, held, words, moved, alignment = _access(context, pointer.dtype, number)
            address = _address(builder, args[0], args[1])
            sources = _lane_pointers(context, builder, lanes, args[2], number)
            for first in range(0, number, words * held):
                value = ir.Constant(moved, ir.Undefined)
                for word in range(words):
                    part = builder.load(sources[first + word * held])
                    if held > 1:
                        part = builder.zext(part, holder)
                        for lane in range(1, held):
                            next_one = builder.zext(builder.load(sources[first + word * held + lane]), holder)
                            shift = ir.Constant(holder, lane * (holder.width // held))
                            part = builder.or_(part, builder.shl(next_one, shift))
                    value = (
                        builder.insert_element(value, part, ir.Constant(ir.IntType(32), word)) if words > 1 else part
                    )
                builder.store(value, _part(builder, address, moved, first // (words * held)), align=alignment)
            return context.get_dummy_value()

        return types.void(pointer, index, lanes, count), codegen

    return SimpleNamespace(load=load, load_near=load_near, load_lanes=load_lanes, store_lanes=store_lanes)


@intrinsic
def _store_bytes(typingctx: Any, pointer: Any, index: Any, lanes: Any, count: Any) -> Any:
    """Round `count` float32 sums to the nearest uint8, ties to even, saturated, and store them as `store_lanes`.

    What `narrow` and `store_lanes` do, in one and a half instructions for each: rounding to int32 saturates and
    makes 0 of a NaN, the lowest uint8 too, and packing saturates to uint8.
    """
    if not isinstance(count, types.IntegerLiteral):
        return None
    number = count.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word, real = ir.IntType(32), ir.FloatType()
        rounding = ir.InlineAsm(ir.FunctionType(word, [real]), "cvt.rni.s32.f32 $0, $1;", "=r,f")
        packing = ir.InlineAsm(ir.FunctionType(word, [word] * 3), "cvt.pack.sat.u8.s32.b32 $0, $1, $2, $3;", "=r,r,r,r")
        sources = _lane_pointers(context, builder, lanes, args[2], number)
        whole = [builder.call(rounding, [builder.load(source)]) for source in sources]
        packed = []
        for lane in range(0, number, 4):
            first, second, third, fourth = whole[lane : lane + 4]
            high = builder.call(packing, [fourth, third, ir.Constant(word, 0)])
            packed.append(builder.call(packing, [second, first, high]))
        together = gcd(len(packed), 4)
        vector = ir.VectorType(word, together) if together > 1 else word
        address = _address(builder, args[0], args[1])
        for group in range(0, len(packed), together):
            value = ir.Constant(vector, ir.Undefined)
            for place, part in enumerate(packed[group : group + together]):
                position = ir.Constant(word, place)
                value = builder.insert_element(value, part, position) if together > 1 else part
            builder.store(value, _part(builder, address, vector, group // together), align=4 * together)
        return context.get_dummy_value()

    return types.void(pointer, index, lanes, count), codegen


@intrinsic
def _atomic_max(typingctx: Any, pointer: Any, index: Any, value: Any) -> Any:
    """Put an unsigned integer in the place of a smaller one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.atomic_rmw("umax", _address(builder, args[0], args[1]), args[2], "monotonic")
        return context.get_dummy_value()

    return types.void(pointer, index, pointer.dtype), codegen


def _round_product(builder: Any, a: Any, b: Any, c: Any) -> Any:
    # The instructions with a rounding mode in their names are the ones that NVVM and ptxas do not contract.
    letter = {"float": "f", "double": "d"}[str(c.type)]

    def rounded(operation: str, *values: Any) -> Any:
        kind = ir.FunctionType(c.type, [c.type, c.type])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.nvvm.{operation}.rn.{letter}")
        return builder.call(function, values)

    return rounded("add", rounded("mul", a, b), c)


DEVICE = SimpleNamespace(
    **vars(arithmetic.build(intrinsic, _round_product)),
    **vars(build_accesses(intrinsic)),
    block=_special_register("ctaid.x"),
    thread=_special_register("tid.x"),
    memory=numba.cuda,
    inline=numba.cuda.jit(device=True, inline="always"),
    store_bytes=_store_bytes,
    atomic_max=_atomic_max,
)
"""The machine of a GPU."""
