"""From the arguments of shuffle, fold and unfold to a plan; every error about them is raised here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpu_upsample.plan.dtypes import Storage, scalars, words
from gpu_upsample.plan.shapes import LONGEST_AXIS, as_integer, check_addressable, check_lengths
from gpu_upsample.plan.steps import Index, Output, Plan
from gpu_upsample.plan.windows import Ints, Reach, count_windows, integers, reach

# The number of spatial axes where no argument tells it: torch's.
_USUAL_RANK = 2


# ---- what a backend executes --------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class ShuffleStep:
    """A permutation between small planes and the large one whose pixels they share.

    Row ``row`` of a large plane is made of `factor` small rows in turn: its pixel ``j * factor + q`` is pixel ``j``
    of the small row ``rows[row] + q * apart``.

    Attributes
    ----------
    planes : int
        Number of large planes.
    rows : ndarray of int64
        For each row of a large plane its first small row.
    factor, apart, width : int
        How many small rows make a large one, their distance, and their length.
    enlarge : bool
        Whether small planes become large ones, or the reverse.
    itemsize, words : int
        A pixel is so many words of so many bytes.
    """

    planes: int
    rows: Index
    factor: int
    apart: int
    width: int
    enlarge: bool
    itemsize: int
    words: int


@dataclass(frozen=True, eq=False)
class UnfoldStep:
    """A selection: what each tap of a kernel sees in each of its windows, zero outside the array.

    Row ``row`` of an output plane holds the samples ``shift[row] + w * stride`` of the input row ``rows[row]``.

    Attributes
    ----------
    planes, rows_in, width_in : int
        Shape of the input.
    rows, shift : ndarray of int64
        For each row of an output plane its input row, -1 for a row of zeros, and where its first window begins.
    width, stride : int
        Number of windows along a row, and their distance.
    itemsize, words : int
        A sample is so many words of so many bytes.
    """

    planes: int
    rows_in: int
    width_in: int
    rows: Index
    shift: Index
    width: int
    stride: int
    itemsize: int
    words: int


@dataclass(frozen=True, eq=False)
class FoldStep:
    """Sums of the columns that reach each sample: the transpose of unfolding, and of a convolution's ``im2col``.

    Columns of shape (planes, channels * taps, windows) become (planes, channels, samples), where taps, windows and
    samples are those of three axes, the last varying fastest. A sum starts at -0.0 and adds one fused multiply-add
    by 1 per pair, ascending by tap, in the accumulator of `result`; a bias is added last. A sample that no window
    reaches is 0.0 plus the bias.

    Attributes
    ----------
    planes, channels : int
        Leading axes of both arrays.
    axes : tuple of Reach
        Which pairs reach each sample; axes that do not exist have one sample, window and tap.
    source, result : Storage
        Scalars of the columns and of the sums, with one accumulator.
    parts : int
        Scalars of an element, 2 for complex numbers.
    bias : Storage or None
        Scalar of the second input, one element per channel; None where there is none.
    """

    planes: int
    channels: int
    axes: tuple[Reach, Reach, Reach]
    source: Storage
    result: Storage
    parts: int = 1
    bias: Storage | None = None

    @cached_property
    def taps(self) -> int:
        """Number of kernel taps."""
        return prod(axis.kernel for axis in self.axes)

    @cached_property
    def windows(self) -> int:
        """Number of windows."""
        return prod(axis.n_windows for axis in self.axes)

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Shape of the result."""
        return (self.planes, self.channels, *(axis.n_out for axis in self.axes), self.parts)


def fold_axes(axes: Sequence[Reach]) -> tuple[Reach, Reach, Reach]:
    """Return up to three axes as exactly three, the missing ones in front and of one sample.

    Examples
    --------
    >>> [axis.n_out for axis in fold_axes([reach(3, 5, 3, 2, 1, 1)])]
    [1, 1, 5]
    """
    first, second, third = [reach(1, 1, 1, 1, 0, 1)] * (3 - len(axes)) + list(axes)
    return first, second, third


# ---- what the arguments mean --------------------------------------------------------------------------------
def rank_of(ndim: Any, arguments: dict[str, Any], most: int | None) -> int:
    """Return the number of spatial axes: `ndim`, or the length of an argument that has one value per axis, or 2."""
    lengths = {name: len(value) for name, value in arguments.items() if isinstance(value, tuple)}
    if ndim is not None:
        lengths["ndim"] = as_integer("ndim", ndim)
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{rank} of {name}" for name, rank in lengths.items())
        raise ValueError(f"the arguments must agree in the number of spatial axes; got {listed}")
    rank = next(iter(lengths.values()), _USUAL_RANK)
    if rank < 1 or (most is not None and rank > most):
        allowed = "at least 1" if most is None else f"1 to {most}"
        given = ", ".join(f"{name}={value!r}" for name, value in (arguments | {"ndim": ndim}).items())
        raise ValueError(f"the number of spatial axes must be {allowed}, got {rank} from {given}")
    return rank


def _check_axes(name: str, shape: tuple[int, ...], leading: int, spatial: int, ndim: int) -> None:
    """Refuse an array without the right number of axes."""
    accepted = (leading + spatial, leading + spatial + 1)
    if len(shape) not in accepted:
        raise ValueError(
            f"{name} must have {accepted[1]} axes, or {accepted[0]} without a batch axis, for {ndim} spatial "
            f"axes; got shape {shape}. The number of spatial axes is 2 unless an argument has one value per axis "
            "or ndim= says otherwise"
        )


# ---- shuffle ------------------------------------------------------------------------------------------------
def plan_shuffle(shape: tuple[int, ...], dtype: str, factor: Any, ndim: Any, enlarge: bool) -> Plan:
    """Plan `pixel_shuffle`, or `pixel_unshuffle` if not `enlarge`.

    Examples
    --------
    >>> plan = plan_shuffle((1, 4, 3, 5), "uint8", 2, None, True)
    >>> plan.outputs[0].shape, plan.steps[0].rows
    ((1, 1, 6, 10), array([0, 6, 1, 7, 2, 8]))
    """
    word = words(*scalars(dtype))
    name = "upscale_factor" if enlarge else "downscale_factor"
    rank = rank_of(ndim, {name: factor}, None)
    if len(shape) < rank + 1:
        raise ValueError(
            f"x must have a channel axis and {rank} spatial ones; got shape {shape}. The number of spatial axes "
            f"is 2 unless {name} has one value per axis or ndim= says otherwise"
        )
    factors = integers(name, factor, rank, least=1)
    before, channels, spatial = shape[: -rank - 1], shape[-rank - 1], shape[-rank:]
    check_lengths("x", spatial)
    if enlarge:
        if channels % prod(factors):
            raise ValueError(
                f"the channels of x must be a multiple of {prod(factors)}, the product of {name}={factor!r}; "
                f"got {channels}"
            )
        few, small = channels // prod(factors), spatial
        after = (few, *(n * r for n, r in zip(spatial, factors, strict=True)))
        check_lengths("the result", after[1:])
    else:
        if any(n % r for n, r in zip(spatial, factors, strict=True)):
            raise ValueError(f"the spatial axes of x must be multiples of {name}={factor!r}; got {spatial}")
        few, small = channels, tuple(n // r for n, r in zip(spatial, factors, strict=True))
        after = (channels * prod(factors), *small)
    outputs = (Output((*before, *after), dtype),)
    check_addressable(outputs[0].shape, dtype)
    if prod(factors) == 1:
        return Plan(outputs, ())
    rows = np.zeros(1, np.int64)
    # Per axis, the channel's part of the index varies slower than every pixel's, and the pixel's as usual.
    apart = prod(small[:-1])
    for axis in range(rank - 1):
        pixel = np.arange(small[axis])[:, None] * prod(small[axis + 1 : -1])
        channel = np.arange(factors[axis]) * (prod(factors[axis + 1 :]) * apart)
        rows = (rows[:, None] + (pixel + channel).ravel()).ravel()
    step = ShuffleStep(prod(before) * few, rows, factors[-1], apart, small[-1], enlarge, *word)
    return Plan(outputs, (step,))


# ---- fold and unfold ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Windows:
    """The windows of some axes; one entry per axis."""

    n: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    count: tuple[int, ...]


def _windows(n: Sequence[int], kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Windows:
    rank = len(n)
    kernel = integers("kernel_size", kernel_size, rank, least=1)
    stride = integers("stride", stride, rank, least=1)
    padding = integers("padding", padding, rank, least=0)
    dilation = integers("dilation", dilation, rank, least=1)
    # What a window may touch must fit into the 32 bits of the kernels' tables.
    extents = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    padded = tuple(m + 2 * p for m, p in zip(n, padding, strict=True))
    count = tuple(map(count_windows, n, kernel, stride, padding, dilation))
    if any(windows < 1 for windows in count):
        raise ValueError(
            f"kernel_size={kernel_size!r} with dilation={dilation} spans {extents} samples, more than the spatial axes "
            f"have with padding={padding}, {padded}"
        )
    if max(padded + stride) > LONGEST_AXIS:
        raise ValueError(f"padded axes and stride must not exceed {LONGEST_AXIS}; got {padded} and {stride}")
    return Windows(tuple(n), kernel, stride, padding, dilation, count)


def plan_unfold(
    shape: tuple[int, ...], dtype: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any, ndim: Any
) -> Plan:
    """Plan `unfold`; the arguments are its own.

    Examples
    --------
    >>> plan = plan_unfold((1, 1, 2, 3), "uint8", 2, 1, 0, 1, None)
    >>> plan.outputs[0].shape, plan.steps[0].rows, plan.steps[0].shift
    ((1, 4, 2), array([0, 0, 1, 1]), array([0, 1, 0, 1]))
    """
    word = words(*scalars(dtype))
    given = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    rank = rank_of(ndim, given, 3)
    _check_axes("x", shape, 1, rank, rank)
    before, spatial = shape[:-rank], shape[-rank:]
    check_lengths("x", spatial)
    w = _windows(spatial, **given)
    after = (*before[:-1], before[-1] * prod(w.kernel), prod(w.count))
    check_addressable(after, dtype)
    rows, shift = unfolded_rows(w)
    step = UnfoldStep(prod(before), prod(spatial[:-1]), spatial[-1], rows, shift, w.count[-1], w.stride[-1], *word)
    return Plan((Output(after, dtype),), (step,))


def unfolded_rows(w: Windows) -> tuple[Ints, Ints]:
    """Return the input row of each output row (taps, then windows of all axes but the last), and its shift."""
    rank = len(w.n)
    row = np.zeros((1,) * (2 * rank - 1), np.int64)
    for axis in range(rank - 1):
        tap = np.arange(w.kernel[axis])[:, None] * w.dilation[axis]
        place = tap + np.arange(w.count[axis]) * w.stride[axis] - w.padding[axis]
        place = np.where((place >= 0) & (place < w.n[axis]), place, -1)
        sides = [1] * (2 * rank - 1)
        sides[axis], sides[rank + axis] = place.shape
        place = place.reshape(sides)
        row = np.where((row < 0) | (place < 0), -1, row * w.n[axis] + place)
    shift = np.arange(w.kernel[-1]) * w.dilation[-1] - w.padding[-1]
    shift = shift.reshape(-1, *[1] * (rank - 1))
    whole = (*w.kernel, *w.count[:-1])
    return np.broadcast_to(row, whole).ravel(), np.broadcast_to(shift, whole).ravel()


def plan_fold(
    shape: tuple[int, ...],
    dtype: str,
    output_size: Any,
    kernel_size: Any,
    dilation: Any,
    padding: Any,
    stride: Any,
    ndim: Any,
) -> Plan:
    """Plan `fold`; the arguments are its own.

    Examples
    --------
    >>> plan = plan_fold((1, 4, 2), "uint8", (2, 3), 2, 1, 0, 1, None)
    >>> plan.outputs[0].shape
    (1, 1, 2, 3)
    """
    storage, parts = scalars(dtype)
    given = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    rank = rank_of(ndim, {"output_size": output_size, **given}, 3)
    if len(shape) not in (2, 3):
        raise ValueError(f"columns must have 3 axes, or 2 without a batch axis; got shape {shape}")
    spatial = integers("output_size", output_size, rank, least=1)
    check_lengths("the result", spatial)
    w = _windows(spatial, **given)
    rows, windows = shape[-2:]
    if rows % prod(w.kernel):
        raise ValueError(
            f"columns must have a multiple of {prod(w.kernel)} rows, the product of kernel_size={kernel_size!r}; "
            f"got shape {shape}"
        )
    if windows != prod(w.count):
        raise ValueError(
            f"columns must have {prod(w.count)} windows ({' x '.join(map(str, w.count))}) for "
            f"output_size={output_size!r}; got shape {shape}"
        )
    channels = rows // prod(w.kernel)
    shape_out = (*shape[:-2], channels, *spatial)
    check_addressable(shape_out, dtype)
    axes = map(reach, w.count, w.n, w.kernel, w.stride, w.padding, w.dilation)
    step = FoldStep(prod(shape[:-2]), channels, fold_axes(list(axes)), storage, storage, parts)
    return Plan((Output(shape_out, dtype),), (step,))
