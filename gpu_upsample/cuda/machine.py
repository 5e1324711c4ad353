"""The primitives that the CUDA kernels are written in.

A kernel is built against a machine: a namespace of the scalar arithmetic that both backends share, of memory
accesses and of the thread's place in the grid. `DEVICE` is the machine for a GPU. The test suite builds the same
kernels against a machine of plain host functions that check every access.

All are intrinsics or inlined: unlike device functions, they can be compiled on a machine without a driver.
"""

from __future__ import annotations

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


@intrinsic
def _load(typingctx: Any, pointer: Any, index: Any) -> Any:
    """Return the scalar at an index of a table or an array that no kernel writes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = builder.load(_address(builder, *args))
        value.set_metadata("invariant.load", builder.module.add_metadata([]))
        return value

    return pointer.dtype(pointer, index), codegen


def _lane_pointers(context: Any, builder: Any, array_type: Any, array: Any, lanes: int) -> list[Any]:
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return [builder.gep(data, [ir.Constant(ir.IntType(64), lane)]) for lane in range(lanes)]


def _vector(context: Any, builder: Any, dtype: Any, lanes: int, address: Any) -> tuple[Any, Any, int]:
    element = context.get_data_type(dtype)
    vector = ir.VectorType(element, lanes) if lanes > 1 else element
    return builder.bitcast(address, vector.as_pointer()), vector, lanes * dtype.bitwidth // 8


@intrinsic
def _load_lanes(typingctx: Any, pointer: Any, index: Any, lanes: Any, count: Any) -> Any:
    """Load `count` neighbours at once, at an address aligned to them all, into a local array."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    number = count.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(builder, args[0], args[1])
        source, _, alignment = _vector(context, builder, pointer.dtype, number, address)
        value = builder.load(source, align=alignment)
        value.set_metadata("invariant.load", builder.module.add_metadata([]))
        for lane, target in enumerate(_lane_pointers(context, builder, lanes, args[2], number)):
            place = ir.Constant(ir.IntType(32), lane)
            builder.store(builder.extract_element(value, place) if number > 1 else value, target)
        return context.get_dummy_value()

    return types.void(pointer, index, lanes, count), codegen


@intrinsic
def _store_lanes(typingctx: Any, pointer: Any, index: Any, lanes: Any, count: Any) -> Any:
    """Store `count` neighbours at once, at an address aligned to them all, from a local array."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    number = count.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(builder, args[0], args[1])
        target, vector, alignment = _vector(context, builder, pointer.dtype, number, address)
        sources = _lane_pointers(context, builder, lanes, args[2], number)
        value = ir.Constant(vector, ir.Undefined)
        for lane, source in enumerate(sources):
            part = builder.load(source)
            place = ir.Constant(ir.IntType(32), lane)
            value = builder.insert_element(value, part, place) if number > 1 else part
        builder.store(value, target, align=alignment)
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
    block=_special_register("ctaid.x"),
    thread=_special_register("tid.x"),
    memory=numba.cuda,
    inline=numba.cuda.jit(device=True, inline="always"),
    load=_load,
    load_lanes=_load_lanes,
    store_lanes=_store_lanes,
    atomic_max=_atomic_max,
)
"""The machine of a GPU."""
