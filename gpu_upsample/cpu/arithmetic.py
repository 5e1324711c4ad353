"""What every CPU kernel shares: the arithmetic on scalars, or on vectors lane by lane.

Kernels are compiled by Numba without the GIL. Integers in capitals select a specialisation. They come in through a
closure, which Numba can cache on disk as long as it holds nothing but integers; so the arithmetic must be a global.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from gpu_upsample import arithmetic
from gpu_upsample.cpu import vectors
from gpu_upsample.cpu.features import has_feature
from gpu_upsample.plan.dtypes import Storage


def _narrow(builder: Any, storage: Storage, value: Any) -> Any:
    """Emit the conversion of accumulators to stored scalars: of 64 to bytes at once, in half of the instructions."""
    many = isinstance(value.type, ir.VectorType) and value.type.count == 64
    if many and storage.name == "uint8" and has_feature("avx512bw"):
        return _to_bytes(builder, value)
    return arithmetic.narrow_value(builder, storage, value)


def _to_bytes(builder: Any, value: Any) -> Any:
    """Round 64 float32 sums to the nearest uint8, ties to even: conversion and packing saturate by themselves.

    What is beyond the range of int32 becomes its lowest value, right for a NaN and below, wrong above.
    """
    words, most = ir.VectorType(ir.IntType(32), 16), ir.Constant(value.type, [255.0] * 64)
    value = builder.select(builder.fcmp_ordered(">", value, most), most, value)
    every, to_nearest = ir.Constant(ir.IntType(16), -1), ir.Constant(ir.IntType(32), 8)
    none = ir.Constant(words, ir.Undefined)
    quarters = (vectors.shuffled(builder, value, value, range(first, first + 16)) for first in range(0, 64, 16))
    parts = [_x86(builder, "mask.cvtps2dq", words, part, none, every, to_nearest) for part in quarters]
    halves = ir.VectorType(ir.IntType(16), 32)
    pairs = [_x86(builder, "packusdw", halves, *parts[i : i + 2]) for i in (0, 2)]
    # Packing takes 16 bytes of one and of the other in turn.
    packed = builder.bitcast(_x86(builder, "packuswb", ir.VectorType(ir.IntType(8), 64), *pairs), words)
    ordered = vectors.shuffled(builder, packed, packed, [4 * (i % 4) + i // 4 for i in range(16)])
    return builder.bitcast(ordered, ir.VectorType(ir.IntType(8), 64))


def _x86(builder: Any, name: str, result: Any, *args: Any) -> Any:
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx512.{name}.512"), args)


_scalar = arithmetic.build(intrinsic, narrow_value=_narrow)
fma, add_product, widen, narrow = _scalar.fma, _scalar.add_product, _scalar.widen, _scalar.narrow


def lanes_of(kind: int) -> int:
    """Return how many accumulators of a stored scalar fill a vector."""
    return vectors.BYTES * 8 // arithmetic.accumulator_of(kind).bitwidth
