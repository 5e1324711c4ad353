"""LLVM types and constants of a scalar, or of a vector of several side by side."""

from __future__ import annotations

from typing import Any

from llvmlite import ir


def many(like: Any, scalar: Any) -> Any:
    """Return the type of as many scalars as the type `like` is."""
    return ir.VectorType(scalar, like.count) if isinstance(like, ir.VectorType) else scalar


def constant(like: Any, number: float) -> Any:
    """Return a number in the type `like`, in every lane of a vector."""
    return ir.Constant(like, [number] * like.count if isinstance(like, ir.VectorType) else number)


def is_integer(like: Any) -> bool:
    """Return whether a type is one of integers."""
    return isinstance(like.element if isinstance(like, ir.VectorType) else like, ir.IntType)
