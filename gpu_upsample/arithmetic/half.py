"""float16 on processors that have no instruction for it, by integers and one float32 operation each.

LLVM would call a function of the compiler's runtime library there, which is not in a process that compiles at run time.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.registry import cpu_target

from gpu_upsample.arithmetic.lanes import constant, many

_PROBE = """
target triple = "{triple}"
define float @widened(half %x) {{
  %y = fpext half %x to float
  ret float %y
}}
define half @narrowed(float %x) {{
  %y = fptrunc float %x to half
  ret half %y
}}
"""


@cache
def is_native(triple: str) -> bool:
    """Return whether code for a target, of an LLVM triple, converts float16 by instructions."""
    if triple.startswith("nvptx"):
        return True
    _, name, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=name, features=features)
    assembly = machine.emit_assembly(llvm.parse_assembly(_PROBE.format(triple=triple)))
    return not any(function in assembly for function in ("hfsf2", "sfhf2", "gnu_h2f", "gnu_f2h"))


def widened(builder: Any, bits: Any) -> Any:
    """Emit the conversion of the bits of a float16, or of a vector of them, to float32."""
    word, real = many(bits.type, ir.IntType(32)), many(bits.type, ir.FloatType())
    wide = builder.zext(bits, word)
    size = builder.and_(wide, constant(word, 0x7FFF))
    shifted = builder.shl(size, constant(word, 13))
    # Fraction and exponent lie in their places, but for the difference of the exponents' biases.
    normal = builder.add(shifted, constant(word, 112 << 23))
    # A subnormal counts in last places of a half. No operand is subnormal, which a process may have told to take for 0.
    counted = builder.bitcast(builder.or_(size, constant(word, 0x3F000000)), real)
    subnormal = builder.bitcast(builder.fsub(counted, constant(real, 0.5)), word)
    finite = builder.select(builder.icmp_unsigned("<", size, constant(word, 0x400)), subnormal, normal)
    special = builder.or_(shifted, constant(word, 0x7F800000))
    quiet = builder.or_(special, constant(word, 0x00400000))
    special = builder.select(builder.icmp_unsigned(">", size, constant(word, 0x7C00)), quiet, special)
    is_special = builder.icmp_unsigned(">=", size, constant(word, 0x7C00))
    found = builder.select(is_special, special, finite)
    sign = builder.shl(builder.and_(wide, constant(word, 0x8000)), constant(word, 16))
    return builder.bitcast(builder.or_(found, sign), real)


def narrowed(builder: Any, value: Any) -> Any:
    """Emit the conversion of a float32, or of a vector of them, to the bits of a float16: to nearest, ties to even."""
    word, real = many(value.type, ir.IntType(32)), value.type
    bits = builder.bitcast(value, word)
    size = builder.and_(bits, constant(word, 0x7FFFFFFF))
    odd = builder.and_(builder.lshr(size, constant(word, 13)), constant(word, 1))
    # Rounded where the last bit will be, and the exponents' difference taken away.
    rounded = builder.add(builder.add(size, odd), constant(word, 0xFFF - (112 << 23)))
    normal = builder.lshr(rounded, constant(word, 13))
    # A half more has its last bit where a subnormal float16 has it.
    moved = builder.fadd(builder.bitcast(size, real), constant(real, 0.5))
    subnormal = builder.sub(builder.bitcast(moved, word), constant(word, 0x3F000000))
    payload = builder.and_(builder.lshr(size, constant(word, 13)), constant(word, 0x3FF))
    nan = builder.or_(payload, constant(word, 0x7E00))
    found = builder.select(builder.icmp_unsigned("<", size, constant(word, 0x38800000)), subnormal, normal)
    is_large = builder.icmp_unsigned(">=", size, constant(word, 0x47800000))  # 65536; what rounds to it is there by now
    found = builder.select(is_large, constant(word, 0x7C00), found)
    found = builder.select(builder.icmp_unsigned(">", size, constant(word, 0x7F800000)), nan, found)
    sign = builder.and_(builder.lshr(bits, constant(word, 16)), constant(word, 0x8000))
    return builder.trunc(builder.or_(found, sign), many(value.type, ir.IntType(16)))
