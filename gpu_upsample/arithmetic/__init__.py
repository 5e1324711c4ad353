"""The scalar arithmetic of every kernel, as LLVM code that both targets compile.

The CPU and the GPU give the same bits because they run these few operations in the same order, and no other
floating-point arithmetic: a fused multiply-add, the conversion of a stored scalar to its accumulator, and the
conversion back. A bare ``a * b + c`` would be contracted by one compiler and not by the other.

Nothing here belongs to a target: `build` takes the `intrinsic` decorator of either. What works on a scalar works on
a `Vector` of them, lane by lane.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from gpu_upsample.arithmetic import half
from gpu_upsample.arithmetic.lanes import constant as constant_of
from gpu_upsample.arithmetic.lanes import is_integer, many
from gpu_upsample.plan.dtypes import FOREIGN, STORAGE, Storage

SCALARS: tuple[Storage, ...] = (*STORAGE.values(), *FOREIGN.values())
"""The scalars by number: a kernel names one by a compile-time integer, because closures over integers can be
cached on disk and closures over functions cannot."""

FLOAT32, FLOAT64 = ir.FloatType(), ir.DoubleType()
_IR = {"float32": FLOAT32, "float64": FLOAT64, **{f"int{bits}": ir.IntType(bits) for bits in (16, 32, 64)}}
_NUMBERS = {storage.name: number for number, storage in enumerate(SCALARS)}


class Vector(types.Type):
    """The Numba type of some scalars side by side, as LLVM's vectors are; a target gives it its data model."""

    def __init__(self, scalar: Any, lanes: int) -> None:
        self.scalar, self.lanes = scalar, lanes
        super().__init__(name=f"Vector({scalar}, {lanes})")


def _alike(like: Any, scalar: Any) -> Any:
    """Return the Numba type of as many scalars as `like` is."""
    return Vector(scalar, like.lanes) if isinstance(like, Vector) else scalar


def kind_of(name: str) -> int:
    """Return the number of a scalar."""
    return _NUMBERS[name]


def accumulator_of(kind: int) -> Any:
    """Return the Numba type in which a scalar is accumulated."""
    return getattr(types, SCALARS[kind].accumulator)


def carrier_of(kind: int) -> Any:
    """Return the Numba type of a scalar in memory."""
    return getattr(types, SCALARS[kind].carrier)


# ---- stored -> accumulator ----------------------------------------------------------------------------------
def widen_value(builder: Any, storage: Storage, value: Any) -> Any:
    """Emit the conversion of a stored scalar to its accumulator."""
    wide, carrier = many(value.type, _IR[storage.accumulator]), np.dtype(storage.carrier)
    if storage.carrier == storage.accumulator:
        return value
    if storage.name == "float16":
        if not half.is_native(builder.module.triple):
            return half.widened(builder, value)
        return builder.fpext(builder.bitcast(value, many(wide, ir.HalfType())), wide)
    if storage.name == "bfloat16":
        word = builder.zext(value, many(wide, ir.IntType(32)))
        return builder.bitcast(builder.shl(word, constant_of(word.type, 16)), wide)
    if carrier.kind == "f":
        return builder.fpext(value, wide)
    convert = _EXTEND if is_integer(wide) else _TO_FLOAT
    return getattr(builder, convert[carrier.kind])(value, wide)


# The instruction for a signed and an unsigned integer.
_EXTEND = {"i": "sext", "u": "zext"}
_TO_FLOAT = {"i": "sitofp", "u": "uitofp"}
_FROM_FLOAT = {"i": "fptosi", "u": "fptoui"}


# ---- the sum ------------------------------------------------------------------------------------------------
def _sum(builder: Any, storage: Storage, round_product: Callable[..., Any], a: Any, b: Any, c: Any) -> Any:
    if is_integer(c.type):
        return builder.add(_cut_product(builder, a, b, storage.cut) if storage.cut else builder.mul(a, b), c)
    return fused(builder, a, b, c) if storage.fused else round_product(builder, a, b, c)


def _cut_product(builder: Any, a: Any, b: Any, bits: int) -> Any:
    """Emit a product of integers without its last bits, which the type of the factors may be too narrow for."""
    wide = many(a.type, ir.IntType(32))
    if a.type == wide:
        return builder.ashr(builder.mul(a, b), constant_of(wide, bits))
    product = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
    return builder.trunc(builder.ashr(product, constant_of(wide, bits)), a.type)


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Emit a fused multiply-add."""
    if not isinstance(c.type, ir.VectorType):
        return builder.fma(a, b, c)
    name = f"llvm.fma.v{c.type.count}f{32 if c.type.element == FLOAT32 else 64}"
    kind = ir.FunctionType(c.type, [c.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def round_product(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Add a rounded product: what a target without contraction makes of the two instructions."""
    return builder.fadd(builder.fmul(a, b), c)


# ---- accumulator -> stored ----------------------------------------------------------------------------------
def _to_bfloat16(builder: Any, value: Any) -> Any:
    """Round to nearest, ties to even, on the bits; every NaN becomes the canonical one."""
    word = builder.bitcast(value, many(value.type, ir.IntType(32)))
    constant = lambda bits: constant_of(word.type, bits)  # noqa: E731
    odd = builder.and_(builder.lshr(word, constant(16)), constant(1))
    rounded = builder.lshr(builder.add(builder.add(word, constant(0x7FFF)), odd), constant(16))
    is_nan = builder.fcmp_unordered("uno", value, value)
    return builder.trunc(builder.select(is_nan, constant(0x7FC0), rounded), many(value.type, ir.IntType(16)))


def _range(storage: Storage) -> tuple[int, int]:
    info = np.iinfo(storage.carrier)
    return (0, 1) if storage.name == "bool" else (int(info.min), int(info.max))


def _shifted(builder: Any, storage: Storage, value: Any) -> Any:
    """Drop the fraction of an integer sum, and saturate."""
    low, high = (constant_of(value.type, limit) for limit in _range(storage))
    places = constant_of(value.type, storage.fraction)
    # A little less than half, and the rest if the result would be odd.
    if storage.fraction and storage.rounding == "even":
        odd = builder.and_(builder.ashr(value, places), constant_of(value.type, 1))
        below_half = constant_of(value.type, (1 << storage.fraction >> 1) - 1)
        value = builder.add(builder.add(value, below_half), odd)
    whole = builder.ashr(value, places)
    above = builder.select(builder.icmp_signed(">", whole, low), whole, low)
    clamped = builder.select(builder.icmp_signed("<", above, high), above, high)
    return builder.trunc(clamped, many(value.type, ir.IntType(8 * storage.itemsize)))


def _away_from_zero(builder: Any, value: Any) -> Any:
    """Add what makes a cut-off fraction a rounding to nearest, ties away from zero."""
    half = constant_of(value.type, 0.5)
    negative = builder.fcmp_ordered("<", value, constant_of(value.type, 0.0))
    return builder.select(negative, builder.fsub(value, half), builder.fadd(value, half))


def _to_integer(builder: Any, storage: Storage, value: Any) -> Any:
    """Saturate and round to nearest; a NaN becomes the lowest value."""
    low, high = _range(storage)
    real = np.dtype(storage.accumulator).type
    # The largest float that converts without overflow: 2**63 itself must not.
    below = float(real(high)) if int(real(high)) <= high else float(np.nextafter(real(high), real(0)))

    def constant(number: float) -> Any:
        return constant_of(value.type, float(number))

    floor = builder.select(builder.fcmp_ordered(">", value, constant(low)), value, constant(low))
    clamped = builder.select(builder.fcmp_ordered("<", floor, constant(below)), floor, constant(below))
    target = many(value.type, ir.IntType(8 * storage.itemsize))
    convert = getattr(builder, _FROM_FLOAT["u" if low == 0 else "i"])
    if storage.rounding == "away":
        return convert(_away_from_zero(builder, clamped), target)
    # Adding 2**p leaves no fraction and rounds as the addition does; NVVM has no llvm.rint.
    power = 2.0 ** np.finfo(real).nmant
    if storage.itemsize < 8:  # with half of that more, the last bits are those of the integer, of a negative one too
        word = many(value.type, ir.IntType(8 * np.dtype(real).itemsize))
        return builder.trunc(builder.bitcast(builder.fadd(clamped, constant(1.5 * power)), word), target)
    negative = builder.fcmp_ordered("<", clamped, constant(0))
    shift = builder.select(negative, constant(-power), constant(power))
    rounded = builder.fsub(builder.fadd(clamped, shift), shift)
    # From 2**p on, every float is an integer.
    small = builder.and_(
        builder.fcmp_ordered("<", clamped, constant(power)),
        builder.fcmp_ordered(">", clamped, constant(-power)),
    )
    integer = convert(builder.select(small, rounded, clamped), target)
    over = builder.fcmp_ordered(">=", value, constant(high))
    return builder.select(over, constant_of(target, high), integer)


def narrow_value(builder: Any, storage: Storage, value: Any) -> Any:
    """Emit the conversion of an accumulator to the stored scalar."""
    if storage.carrier == storage.accumulator:
        return value
    if storage.name == "float16":
        if not half.is_native(builder.module.triple):
            return half.narrowed(builder, value)
        narrow = builder.fptrunc(value, many(value.type, ir.HalfType()))
        return builder.bitcast(narrow, many(value.type, ir.IntType(16)))
    if storage.name == "bfloat16":
        return _to_bfloat16(builder, value)
    if np.dtype(storage.carrier).kind == "f":
        return builder.fptrunc(value, many(value.type, _IR[storage.carrier]))
    return (_shifted if is_integer(value.type) else _to_integer)(builder, storage, value)


def build(
    intrinsic: Callable[..., Any],
    round_product: Callable[..., Any] = round_product,
    narrow_value: Callable[..., Any] = narrow_value,
) -> SimpleNamespace:
    """Return the arithmetic as intrinsics of one target.

    Parameters
    ----------
    intrinsic : callable
        The decorator of the target.
    round_product : callable
        Emits a rounded product and its sum, on a target that would contract the two instructions.
    narrow_value : callable
        Emits the conversion of an accumulator to the stored scalar, on a target that has a shorter way for some.

    Returns
    -------
    namespace
        ``fma(a, b, c)``: a * b + c, rounded once. ``add_product(kind, a, b, c)``: a * b + c in the accumulator of a
        scalar, as its storage says. ``widen(kind, value)``: a stored scalar in its accumulator.
        ``narrow(kind, value)``: the accumulator as a stored scalar. ``plus(a, b)``, ``mad(a, b, c)`` and
        ``quotient(a, b)``: unsigned integers that stay as wide as they are, where Python's operators would
        promote them to 64 bits.
    """

    @intrinsic
    def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.fma(*args)

        return c(c, c, c), codegen

    @intrinsic
    def add_product(typingctx: Any, kind: Any, a: Any, b: Any, c: Any) -> Any:
        if not isinstance(kind, types.IntegerLiteral):
            return None  # typed again with the literal
        number = kind.literal_value

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _sum(builder, SCALARS[number], round_product, *args[1:])

        real = _alike(c, accumulator_of(number))
        return real(kind, real, real, real), codegen

    def conversion(emit: Callable[..., Any], to_accumulator: bool) -> Any:
        @intrinsic
        def convert(typingctx: Any, kind: Any, value: Any) -> Any:
            if not isinstance(kind, types.IntegerLiteral):
                return None  # typed again with the literal
            number = kind.literal_value

            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                return emit(builder, SCALARS[number], args[1])

            stored, wide = _alike(value, carrier_of(number)), _alike(value, accumulator_of(number))
            return (wide(kind, stored) if to_accumulator else stored(kind, wide)), codegen

        return convert

    @intrinsic
    def plus(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.add(*args)

        return a(a, a), codegen

    @intrinsic
    def mad(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.add(builder.mul(args[0], args[1]), args[2])

        return a(a, a, a), codegen

    @intrinsic
    def quotient(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.udiv(*args)

        return a(a, a), codegen

    return SimpleNamespace(
        fma=fma,
        add_product=add_product,
        widen=conversion(widen_value, True),
        narrow=conversion(narrow_value, False),
        plus=plus,
        mad=mad,
        quotient=quotient,
    )
