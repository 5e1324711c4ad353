"""What the processor can do that kernels are compiled for."""

from __future__ import annotations

from functools import cache

from numba.core.registry import cpu_target


@cache
def has_feature(name: str) -> bool:
    """Return whether the processor has a feature, by LLVM's name for it."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    always = {"neon"} if triple.startswith(("aarch64", "arm64")) else set()
    return name in always or f"+{name}" in features.split(",")


VECTOR_BYTES = 64 if has_feature("avx512f") else 32 if has_feature("avx") else 16
"""Bytes of a vector register."""
