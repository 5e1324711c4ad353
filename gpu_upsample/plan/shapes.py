"""Sizes, scales and axes: what the caller asked for, checked and made explicit."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gpu_upsample.plan.cache import has_items
from gpu_upsample.plan.dtypes import scalars

SPATIAL = {"channels_first": slice(2, None), "channels_last": slice(1, -1)}
"""Data format -> which axes of a batch are the spatial ones."""


def as_integer(name: str, value: Any) -> int:
    """Return `value` as an int, or say why it is none."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def as_number(name: str, value: Any) -> float:
    """Return `value` as a finite float, or say why it is none."""
    number = as_real(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return number


def as_real(name: str, value: Any) -> float:
    """Return `value` as a float, which may be infinite or NaN, or say why it is none."""
    if isinstance(value, str | bytes | bool | np.bool_):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    except OverflowError:  # an integer beyond every float
        return math.inf if value > 0 else -math.inf


def as_factor(name: str, value: Any) -> float:
    """Return `value` as a positive float, or say why it is none."""
    factor = as_number(name, value)
    if factor <= 0:
        raise ValueError(f"{name} must be positive, got {value!r}")
    return factor


def as_flag(name: str, value: Any) -> bool:
    """Return `value` as a bool, or say that it is none."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


# Names with less in common than this are not taken for each other.
_ALIKE = 0.6


def nearest_names(value: Any, choices: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: a question for the names that are most like it, if any are.

    Examples
    --------
    >>> nearest_names("bilinear", ["nearest", "linear", "cubic"])
    "; did you mean 'linear'?"
    """
    from difflib import SequenceMatcher

    given = value.lower() if isinstance(value, str) else ""
    ratios = {choice: SequenceMatcher(None, given, choice.lower()).ratio() for choice in choices}
    most = max(ratios.values(), default=0.0)
    names = [repr(choice) for choice, ratio in ratios.items() if ratio == most >= _ALIKE]
    return f"; did you mean {' or '.join(names)}?" if names else ""


def as_choice(name: str, value: Any, choices: Iterable[str], cased: Callable[[str], str] | None = None) -> str:
    """Return `value`, `cased` as the choices are, if it is one of them, or list them."""
    choices, choice = tuple(choices), cased(value) if cased and isinstance(value, str) else value
    if not isinstance(value, str) or choice not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {listed}; got {value!r}{nearest_names(value, choices)}")
    return choice


def per_axis(name: str, value: Any, rank: int) -> tuple[Any, ...]:
    """Return one entry of `value` per axis; a scalar serves them all."""
    if not has_items(value):
        return (value,) * rank
    values = tuple(value)
    if len(values) != rank:
        raise ValueError(f"{name} must be one value or {rank}, one per axis; got {values!r}")
    return values


def as_shape(name: str, value: Any) -> tuple[int, ...]:
    """Return `value` as the shape of an array, or say why it is none."""
    wrong = f"{name} must be the shape of an array, got {value!r}"
    if not has_items(value):
        raise TypeError(wrong)
    try:
        shape = tuple(as_integer(name, n) for n in value)
    except TypeError:
        raise TypeError(wrong) from None
    if min(shape, default=0) < 0:
        raise ValueError(f"{name} must have no negative lengths, got {value!r}")
    return shape


def check_exactly_one(size: Any, scale: Any, scale_name: str) -> None:
    """Refuse both of size and scale, and neither."""
    if (size is None) == (scale is None):
        state = "neither" if size is None else f"size={size!r} and {scale_name}={scale!r}"
        raise ValueError(f"exactly one of size and {scale_name} must be given; got {state}")


# The largest axis that the kernels' 32-bit tap tables can address.
LONGEST_AXIS = 2**31 - 1

# The bytes that a process can address, on x86 and on most others: 47 bits of an address are its own.
ADDRESSABLE = 2**47


def check_addressable(shape: Sequence[int], dtype: str, lengths: Mapping[int, int] | None = None) -> None:
    """Refuse an array that no machine can hold, before tables as long as its axes are made for it.

    Of an empty array, the axes that are not empty count. `lengths` are those of the axes that differ from `shape`.

    Examples
    --------
    >>> check_addressable((1, 3, 4, 5), "float32", {2: 2**26, 3: 2**26})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: an array of shape (1, 3, 67108864, 67108864) and dtype float32 would have 54043195528445952 bytes; ...
    """
    whole = tuple((lengths or {}).get(axis, n) for axis, n in enumerate(shape))
    storage, parts = scalars(dtype)
    size = math.prod(max(n, 1) for n in whole) * storage.itemsize * parts
    if size > ADDRESSABLE:
        raise ValueError(
            f"an array of shape {whole} and dtype {dtype} would have {size} bytes; a process can address {ADDRESSABLE}"
        )


def check_lengths(name: str, spatial: Sequence[int]) -> None:
    """Refuse an array with a spatial axis that is empty or too long."""
    if any(not 1 <= n <= LONGEST_AXIS for n in spatial):
        raise ValueError(f"the spatial axes of {name} must have 1 to {LONGEST_AXIS} samples, got {tuple(spatial)}")


def check_resized(n_in: Sequence[int], sizes: tuple[int, ...], asked: str) -> None:
    """Refuse axes that are empty or too long, before they are resized or after; `asked` is what gave the `sizes`."""
    for n, m in zip(n_in, sizes, strict=True):
        if n < 1:
            raise ValueError(f"a resized axis must not be empty; got input sizes {tuple(n_in)}")
        if not 1 <= m <= LONGEST_AXIS:
            raise ValueError(
                f"{asked} gives output sizes {sizes} for input sizes {tuple(n_in)}; "
                f"each must lie between 1 and {LONGEST_AXIS}"
            )
        if n > LONGEST_AXIS:
            raise ValueError(f"a resized axis may have at most {LONGEST_AXIS} samples, got {n}")


def output_sizes(
    n_in: Sequence[int], size: Any, scale: Any, scale_name: str, lengths: Sequence[float] | None = None
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Return the output size and the fixed scale (or None) of each axis, from exactly one of size and scale.

    ``out = floor(in * scale)``, as in torch and ONNX; where only a part is resized, `lengths` are its extents.

    Examples
    --------
    >>> output_sizes((3, 5), None, 1.5, "scale_factor")
    ((4, 7), (1.5, 1.5))
    """
    check_exactly_one(size, scale, scale_name)
    rank = len(n_in)
    if size is not None:
        sizes = tuple(as_integer("size", n) for n in per_axis("size", size, rank))
        scales: tuple[float | None, ...] = (None,) * rank
    else:
        factors = tuple(as_factor(scale_name, s) for s in per_axis(scale_name, scale, rank))
        products = (n * factor for n, factor in zip(lengths or n_in, factors, strict=True))
        sizes = tuple(math.floor(min(product, 2.0**63)) for product in products)  # infinity has no floor
        scales = factors
    check_resized(n_in, sizes, f"size={size!r}" if size is not None else f"{scale_name}={scale!r}")
    return sizes, scales


def normalized_axes(axes: Any, ndim: int, name: str = "axes") -> tuple[int, ...]:
    """Return `axes` as non-negative, distinct integers; `name` is what messages call them."""
    listed = tuple(axes) if has_items(axes) else (axes,)
    result = []
    for axis in listed:
        number = as_integer(name, axis)
        if not -ndim <= number < ndim:
            raise ValueError(f"{name} must lie in [-{ndim}, {ndim}) for an array of rank {ndim}; got {axes!r}")
        result.append(number % ndim)
    if not result or len(set(result)) != len(result):
        raise ValueError(f"{name} must name at least one axis and none twice; got {axes!r}")
    return tuple(result)


def default_axes(ndim: int, size: Any, scale: Any) -> tuple[int, ...]:
    """Return the leading axes that size or scale speak of, where at most one axis (channels) is left over.

    H×W, H×W×C, D×H×W and D×H×W×C are clear; an N×C×H×W array resized in N and C would be an accident.
    """
    name, given, read = ("scale", scale, as_number) if size is None else ("size", size, as_integer)
    numbers = [read(name, number) for number in (given if has_items(given) else (given,))]
    if has_items(given):
        if ndim - 1 <= len(numbers) <= ndim and numbers:
            return tuple(range(len(numbers)))
    elif (1 <= ndim <= 2 and scale is not None) or ndim == 1:
        return tuple(range(ndim))
    raise ValueError(
        f"axes must be given, for example axes=(0, 1) for H×W×C or axes=(-2, -1) for C×H×W: with an array of rank "
        f"{ndim} and size={size!r}, scale={scale!r} it is not clear which axes are meant"
    )
