"""Pillow's resampling as tables: its filters, roundings and order of passes, as plans for the backends.

Everything follows the C sources of Pillow 13.0.0 (``Resample.c``, ``Reduce.c``, ``Geometry.c``): edges of a box are
float32, weights are computed in float64 and sums are formed in the order of the samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu_upsample.plan.axes import once_per_axis
from gpu_upsample.plan.cache import kept
from gpu_upsample.plan.dtypes import FOREIGN, STORAGE
from gpu_upsample.plan.filters import Filter
from gpu_upsample.plan.shapes import check_addressable
from gpu_upsample.plan.steps import FilterStep, Index, Output, Plan, SelectStep, Sums, plan_steps
from gpu_upsample.plan.taps import Floats, Ints, Taps, check_table, offsets

DTYPES = {"uint8": "uint8 fixed", "uint16": "uint16 double", "int32": "int32 double", "float32": "float32 double"}
"""dtype -> the storage of the sums of Pillow's modes L and all of 8 bits, I;16, I and F."""

Box = tuple[float, float, float, float]
Size = tuple[int, int]


# ---- filters ------------------------------------------------------------------------------------------------
# Each formula groups its operations as the C source does: that decides the last place.
# The C library's functions, as Pillow calls them; NumPy's own need not agree in the last place.
_sin, _cos = (np.vectorize(function, otypes=[np.float64]) for function in (math.sin, math.cos))


def _sinc(x: Floats) -> Floats:
    angle = np.where(x == 0, 1.0, x) * math.pi
    return np.where(x == 0, 1.0, _sin(angle) / angle)


def _box(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _triangle(x: Floats) -> Floats:
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0.0)


def _hamming(x: Floats) -> Floats:
    cosine = _cos(np.abs(x) * math.pi)
    window = float(np.float32(0.54)) + float(np.float32(0.46)) * cosine
    return np.where(x == 0, 1.0, np.where(np.abs(x) < 1, _sinc(np.abs(x)) * window, 0.0))


def _cubic(x: Floats) -> Floats:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * -0.5
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Floats) -> Floats:
    return np.where((x >= -3) & (x < 3), _sinc(x) * _sinc(x / 3), 0.0)


def _magic_2013(x: Floats) -> Floats:
    x = np.abs(x)
    pieces = [17 / 16 - 7 / 4 * (x * x), (1 - x) * (7 / 4 - x), -1 / 8 * ((x - 5 / 2) * (x - 5 / 2))]
    return np.select([x < edge for edge in (0.5, 1.5, 2.5)], pieces, 0.0)


def _magic_2021(x: Floats) -> Floats:
    x = np.abs(x)
    pieces = [
        577 / 576 - 239 / 144 * (x * x),
        35 / 36 * (x - 1) * (x - 239 / 140),
        1 / 6 * (x - 2) * (65 / 24 - x),
        1 / 36 * (x - 3) * (x - 15 / 4),
        -1 / 288 * ((x - 9 / 2) * (x - 9 / 2)),
    ]
    return np.select([x < edge for edge in (0.5, 1.5, 2.5, 3.5, 4.5)], pieces, 0.0)


KERNELS: dict[int, Filter] = {
    4: Filter(0.5, _box),
    2: Filter(1.0, _triangle),
    5: Filter(1.0, _hamming),
    3: Filter(2.0, _cubic),
    1: Filter(3.0, _lanczos),
    6: Filter(2.5, _magic_2013),
    7: Filter(4.5, _magic_2021),
}
"""Pillow's number of a filter -> the filter; 0 is NEAREST, which has none."""


# ---- one axis -----------------------------------------------------------------------------------------------
def axis_taps(n_in: int, edges: tuple[np.float32, np.float32], n_out: int, kernel: Filter) -> Taps:
    """Return the taps of one axis, whose part between two edges is resized.

    Examples
    --------
    >>> axis_taps(2, (np.float32(0), np.float32(2)), 4, KERNELS[2]).matrix()
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    check_table(n_out, 1)
    step = float(edges[1] - edges[0]) / n_out
    return widened_taps(n_in, float(edges[0]) + (np.arange(n_out) + 0.5) * step, step, kernel)


def widened_taps(n_in: int, centre: NDArray[np.floating[Any]], step: float, kernel: Filter) -> Taps:
    """Return the taps of a filter around each centre, widened where the step is more than a sample, within the array.

    torch's antialiasing of bytes is made after Pillow's, and forms its weights so, too.
    """
    stretch = max(step, 1.0)
    reach = kernel.support * stretch
    start = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    count = np.maximum(np.minimum((centre + reach + 0.5).astype(np.int64), n_in) - start, 0)
    k = offsets(np.maximum(count, 1))
    distance = ((k + start[:, None]) - centre[:, None] + 0.5) * (1.0 / stretch)
    weight = np.where(k < count[:, None], kernel.function(distance), 0.0)
    total = np.zeros(len(centre))
    for column in weight.T:  # one after the other: the order decides the last place
        total = total + column
    return Taps(n_in, start, count, weight / np.where(total == 0, 1.0, total)[:, None])


@kept
def fixed_point(taps: Taps, fraction: int) -> Taps:
    """Return taps with whole weights, of which the last bits are the fraction; halves are rounded away from zero.

    Examples
    --------
    >>> fixed_point(Taps(2, np.array([0]), np.array([2]), np.array([[1.5, -0.5]])), 2).weight
    array([[ 6., -2.]])
    """
    scaled = taps.weight * 2.0**fraction
    return Taps(taps.n_in, taps.start, taps.count, np.trunc(scaled + np.copysign(0.5, scaled)))


def axis_index(n_in: int, edges: tuple[np.float32, np.float32], n_out: int, running: bool) -> Index:
    """Return the sample that is nearest to each output; -1 where rounding leaves the axis.

    Pillow adds up the step as it goes, but in mode I;16.

    Examples
    --------
    >>> axis_index(3, (np.float32(0), np.float32(3)), 5, True)
    array([0, 0, 1, 2, 2])
    """
    step, begin = float(edges[1] - edges[0]) / n_out, float(edges[0])
    if running:
        position = np.cumsum(np.concatenate([[begin + step * 0.5], np.full(n_out - 1, step)]))
    else:
        position = step * (np.arange(n_out) + 0.5) + begin
    return np.where((position < 0) | (position >= n_in), -1, position.astype(np.int64))


# ---- resize -------------------------------------------------------------------------------------------------
def plan_resize(shape: tuple[int, ...], dtype: str, size: Size, resample: int, box: Box) -> Plan:
    """Plan the resizing of one image whose alpha, if any, is already multiplied in.

    Parameters
    ----------
    shape, dtype
        The image's: (H, W) or (H, W, C), of a dtype in `DTYPES` or bool.
    size : tuple of int
        New (width, height).
    resample : int
        A key of `KERNELS`, or 0 for the nearest sample.
    box : tuple of float
        The part that is resized, inside the image: (left, upper, right, lower).

    Examples
    --------
    >>> plan = plan_resize((4, 6, 3), "uint8", (3, 4), 3, (0, 0, 6, 4))
    >>> plan.outputs[0].shape, len(plan.steps)
    ((4, 3, 3), 1)
    """
    check_addressable(shape, dtype, {0: size[1], 1: size[0]})
    left, upper, right, lower = map(np.float32, box)
    # Per axis of the array: its length, the edges of the box, and the new length.
    axes = {0: (shape[0], (upper, lower), size[1]), 1: (shape[1], (left, right), size[0])}
    if all(edges[0] == int(edges[0]) and edges[1] - edges[0] == n for _, edges, n in axes.values()):
        crop = {axis: int(edges[0]) + np.arange(n) for axis, (_, edges, n) in axes.items()}
        return plan_steps(shape, dtype, crop)
    if resample == 0:
        return plan_steps(
            shape, dtype, {axis: axis_index(*given, running=dtype != "uint16") for axis, given in axes.items()}
        )
    taps = {
        axis: once_per_axis(axis_taps, n_in, edges, n, KERNELS[resample])
        for axis, (n_in, edges, n) in axes.items()
        if not (n_in == n and edges[0] == 0 and edges[1] == n)
    }
    storage = FOREIGN[DTYPES[dtype]]
    if storage.fraction:
        taps = {axis: fixed_point(along, storage.fraction) for axis, along in taps.items()}
    sums = Sums(storage, storage, storage, exact=True)
    if len(taps) < 2 or not _rows_first(shape, size):
        return plan_steps(shape, dtype, taps, sums=sums)
    down = plan_steps(shape, dtype, {0: taps[0]}, sums=sums)
    return down.then(plan_steps(down.shapes[0], dtype, {1: taps[1]}, sums=sums))


def _rows_first(shape: tuple[int, ...], size: Size) -> bool:
    """Return whether the vertical pass comes first: it drops more than twice the rows that the other drops columns."""
    fewer_rows, fewer_columns = shape[0] - size[1], shape[1] - size[0]
    return fewer_rows > max(0, 2 * fewer_columns)


# ---- reduce -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Region:
    """Blocks of one size in an image: the samples that they cover, and where their means go.

    Attributes
    ----------
    source, target : tuple of slice
        Rows and columns of the image and of the result.
    block : tuple of int
        Rows and columns of a block.
    whole : bool
        Whether no edge of the box cuts these blocks.
    """

    source: tuple[slice, slice]
    target: tuple[slice, slice]
    block: tuple[int, int]
    whole: bool


def regions(factor: Size, box: tuple[int, int, int, int]) -> list[Region]:
    """Return the whole blocks of a reduction, and those that the right and the lower edge of the box cut.

    Examples
    --------
    >>> [(part.block, part.whole) for part in regions((2, 3), (0, 0, 5, 6))]
    [((3, 2), True), ((3, 1), False)]
    """

    def parts(begin: int, end: int, length: int) -> list[tuple[slice, slice, int]]:
        number = (end - begin) // length
        edge = begin + number * length
        cut = (slice(edge, end), slice(number, number + 1), end - edge)
        return [part for part in ((slice(begin, edge), slice(number), length), cut) if part[0].start < part[0].stop]

    left, upper, right, lower = box
    return [
        Region((rows, columns), (down, across), (height, width), (width, height) == tuple(factor))
        for rows, down, height in parts(upper, lower, factor[1])
        for columns, across, width in parts(left, right, factor[0])
    ]


def plan_means(shape: tuple[int, ...], dtype: str, region: Region) -> Plan:
    """Plan the means of the blocks of one region, cut out of its image.

    Parameters
    ----------
    shape, dtype
        The region's: (H, W) or (H, W, C) of uint8; of int32 or float32 with its blocks taken apart,
        (samples of a block, blocks down, blocks across).
    region : Region
        The size of its blocks.

    Examples
    --------
    >>> region = regions((3, 2), (0, 0, 6, 4))[0]
    >>> plan_means((4, 6, 3), "uint8", region).outputs[0].shape, plan_means((6, 2, 2), "int32", region).outputs[0].shape
    ((2, 2, 3), (2, 2))
    """
    return (_byte_means if dtype == "uint8" else _number_means)(shape, dtype, region)


def _blocks(n: int, length: int, weight: float = 1.0, outside: float = 0.0) -> Taps:
    """Return weighted sums over the blocks of an axis."""
    number = n // length
    beyond = np.full(number, outside) if outside else None
    weights = np.full((number, length), weight)
    return Taps(n, np.arange(number) * length, np.full(number, length), weights, beyond)


def _byte_means(shape: tuple[int, ...], dtype: str, region: Region) -> Plan:
    """Multiply exact sums of bytes by a reciprocal in 24 bits."""
    storage, between = FOREIGN["uint8 wide"], FOREIGN["int64 fixed"]
    (height, width), inner = region.block, prod(shape[2:])
    area = height * width
    reciprocal = 2**storage.fraction // area
    # Half the area is added to each sum, and the half of a last place with which the storage starts is taken back.
    amend = area // 2 * reciprocal - storage.start
    down, across = _blocks(shape[0], height), _blocks(shape[1], width, reciprocal, amend)
    steps = (
        FilterStep((1, shape[0], 1, shape[1] * inner), down, None, storage, between),
        FilterStep((1, down.n_out, shape[1], inner), None, across, between, storage, fill=1.0),
    )
    return Plan((Output((down.n_out, across.n_out, *shape[2:]), dtype),), steps)


def _number_means(shape: tuple[int, ...], dtype: str, region: Region) -> Plan:
    """Sum in float64 and multiply by a reciprocal; up to four neighbours are first added in their own type."""
    area, pixels = shape[0], prod(shape[1:])
    own, wide = _OWN[dtype], STORAGE["float64"]
    order, count = _quads(*region.block) if region.whole else (np.arange(area), np.ones(area, np.int64))
    start, weight = np.cumsum(count) - count, np.ones((len(count), int(np.max(count))))
    groups = Taps(area, start, count, weight)
    mean = Taps(1, np.zeros(1, np.int64), np.ones(1, np.int64), np.array([[1.0 / area]]))
    arranged = SelectStep((1, area, 1, pixels), order, None, STORAGE[dtype])
    steps = (
        *([] if np.array_equal(order, np.arange(area)) else [arranged]),
        FilterStep((1, area, 1, pixels), groups, None, own, own),
        FilterStep((1, len(count), 1, pixels), _blocks(len(count), len(count)), None, STORAGE[dtype], wide),
        FilterStep((1, 1, 1, pixels), mean, None, wide, FOREIGN[DTYPES[dtype]]),
    )
    return Plan((Output(shape[1:], dtype),), steps)


_OWN = {"float32": STORAGE["float32"], "int32": FOREIGN["int32 fixed"]}
"""dtype -> sums in the type itself."""


def _quads(height: int, width: int) -> tuple[Index, Ints]:
    """Return the order in which the samples of a block are added, and how many make each group.

    A group is a square of four, and at an odd end a pair or a single one.
    """
    position = np.arange(height * width).reshape(height, width)
    groups = [
        position[row : row + 2, column : column + 2].ravel()
        for row in range(0, height, 2)
        for column in range(0, width, 2)
    ]
    return np.concatenate(groups), np.array([len(group) for group in groups])
