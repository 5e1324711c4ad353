"""Independent oracles in float64, written from the literature and the specifications.

They share no code with the package. A map along one axis is a dense matrix, built one output and one sample at
a time; coordinates are exact fractions, so that no sample at the rim of a filter is won or lost by rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

HALF = Fraction(1, 2)


# ---- filters: distance (sample minus coordinate) -> weight ------------------------------------------------------
def triangle(d: float) -> float:
    return 1 - abs(d)


def keys_cubic(d: float, a: float) -> float:
    """Keys, Cubic convolution interpolation for digital image processing, 1981, equation 15."""
    s = abs(d)
    if s < 1:
        return (a + 2) * s**3 - (a + 3) * s**2 + 1
    return a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a


def mitchell(d: float) -> float:
    """Mitchell and Netravali, 1988, with B = C = 1/3."""
    s, b, c = abs(d), 1 / 3, 1 / 3
    if s < 1:
        return ((12 - 9 * b - 6 * c) * s**3 + (-18 + 12 * b + 6 * c) * s**2 + (6 - 2 * b)) / 6
    return ((-b - 6 * c) * s**3 + (6 * b + 30 * c) * s**2 + (-12 * b - 48 * c) * s + (8 * b + 24 * c)) / 6


def sinc(d: float) -> float:
    return math.sin(math.pi * d) / (math.pi * d) if d else 1.0


def lanczos(d: float, a: int) -> float:
    return sinc(d) * sinc(d / a)


def hamming(d: float) -> float:
    """Pillow, Resample.c."""
    return sinc(d) * (0.54 + 0.46 * math.cos(math.pi * d))


def gaussian(d: float) -> float:
    """TensorFlow, sampling_kernels.h: standard deviation 0.5, radius 1.5."""
    return math.exp(-d * d / (2 * 0.5 * 0.5))


@lru_cache(maxsize=4)
def cardinal_spline(order: int) -> Callable[[float], Any]:
    """Return the spline through a single 1, on an axis whose ends are too far away to matter."""
    samples = np.arange(-90, 91)
    return make_interp_spline(samples, (samples == 0).astype(float), order)


@lru_cache(maxsize=1 << 16)
def spline(d: float, order: int) -> float:
    return float(d == 0) if d == int(d) else float(cardinal_spline(order)(d))


# Name -> (support, weight). Open at both ends but for the box, which is open below and closed above (Pillow).
FILTERS: dict[str, tuple[Fraction, Callable[[float], float]]] = {
    "box": (HALF, lambda d: 1.0),
    "linear": (Fraction(1), triangle),
    "hamming": (Fraction(1), hamming),
    "gaussian": (Fraction(3, 2), gaussian),
    "cubic": (Fraction(2), keys_cubic),
    "mitchell": (Fraction(2), mitchell),
    "lanczos2": (Fraction(2), partial(lanczos, a=2)),
    "lanczos3": (Fraction(3), partial(lanczos, a=3)),
    "lanczos4": (Fraction(4), partial(lanczos, a=4)),
    "lanczos5": (Fraction(5), partial(lanczos, a=5)),
    "spline2": (Fraction(22), partial(spline, order=2)),
    "spline3": (Fraction(29), partial(spline, order=3)),
    "spline4": (Fraction(37), partial(spline, order=4)),
    "spline5": (Fraction(45), partial(spline, order=5)),
}


# ---- coordinates -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Grid:
    """One axis: its sizes, the part of it that is resized, and the output samples per input sample."""

    n_in: int
    n_out: int
    scale: Fraction | None
    start: Fraction
    length: Fraction

    @property
    def step(self) -> Fraction:
        return 1 / self.scale if self.scale else self.length / self.n_out

    @property
    def corner_step(self) -> Fraction:
        return (self.length - 1) / (self.n_out - 1) if self.n_out > 1 else Fraction(0)


def meant(number: float) -> Fraction:
    """Return the fraction that a float stands for: 0.1 is a tenth, not 0.1000000000000000055."""
    simple = Fraction(number).limit_denominator(1000)
    return simple if float(simple) == number else Fraction(number)


def half_pixel(o: int, g: Grid) -> Fraction:
    return (o + HALF) * g.step - HALF


def half_pixel_symmetric(o: int, g: Grid) -> Fraction:
    """ONNX Resize: the output is centred on the input, whatever was lost to rounding its size."""
    adjustment = g.n_out / (g.length / g.step)
    return g.length / 2 * (1 - adjustment) + (o + HALF) * g.step - HALF


# Rule -> (coordinate of an output, step between two outputs).
COORDINATES: dict[str, tuple[Callable[[int, Grid], Fraction], Callable[[Grid], Fraction]]] = {
    "half_pixel": (half_pixel, lambda g: g.step),
    "half_pixel_symmetric": (half_pixel_symmetric, lambda g: g.step),
    "pytorch_half_pixel": (
        lambda o, g: half_pixel(o, g) if g.n_out > 1 else Fraction(0),
        lambda g: g.step,
    ),
    "align_corners": (lambda o, g: o * g.corner_step, lambda g: g.corner_step),
    "half_pixel_corners": (lambda o, g: (o + HALF) * g.corner_step - HALF, lambda g: g.corner_step),
    "asymmetric": (lambda o, g: o * g.step, lambda g: g.step),
}

ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "round_prefer_floor": lambda c: math.ceil(c - HALF),
    "round_prefer_ceil": lambda c: math.floor(c + HALF),
    "floor": math.floor,
    "ceil": math.ceil,
}


# ---- borders: (sample, weight) pairs of one window -> pairs inside the axis, and the weight of the constant -----
Window = list[tuple[int, float]]
OUTSIDE = -1


def clamp(window: Window, n: int) -> Window:
    return [(min(max(i, 0), n - 1), w) for i, w in window]


def renormalize(window: Window, n: int) -> Window:
    inside = [(i, w) for i, w in window if 0 <= i < n]
    total = math.fsum(w for _, w in inside)
    if abs(total) < 1e-9:  # nothing to renormalise
        return clamp(window, n)
    return [(i, w / total) for i, w in inside]


def constant(window: Window, n: int) -> Window:
    return [(i if 0 <= i < n else OUTSIDE, w) for i, w in window]


def extrapolate(window: Window, n: int) -> Window:
    """Continue the line through the last two samples: x[-j] = x[0] + j (x[0] - x[1])."""
    if n == 1:
        return clamp(window, n)
    result = []
    for i, w in window:
        if 0 <= i < n:
            result.append((i, w))
            continue
        edge, inner = (0, 1) if i < 0 else (n - 1, n - 2)
        beyond = abs(i - edge)
        result += [(edge, w * (1 + beyond)), (inner, -w * beyond)]
    return result


def padded(mode: Any, window: Window, n: int) -> Window:
    """What NumPy's `pad` puts beside the samples."""
    reach = max(max(-i, i - n + 1, 0) for i, _ in window)
    samples = np.pad(np.arange(n), reach, mode=mode)
    return [(int(samples[i + reach]), w) for i, w in window]


BORDERS: dict[str, Callable[[Window, int], Window]] = {
    "clamp": clamp,
    "symmetric": partial(padded, "symmetric"),
    "reflect": partial(padded, "reflect"),
    "wrap": partial(padded, "wrap"),
    "renormalize": renormalize,
    "constant": constant,
    "extrapolate": extrapolate,
}


# ---- maps of one axis ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class AxisMap:
    """Output = weight @ input + outside * constant; `support` says which samples take part at all."""

    weight: NDArray[np.float64]
    support: NDArray[np.bool_]
    outside: NDArray[np.float64]

    @property
    def index(self) -> NDArray[np.int64]:
        """The sample that each output of a selection copies, -1 for the constant."""
        return np.where(self.outside > 0, OUTSIDE, self.weight.argmax(axis=1))


def dense(windows: Sequence[Window], n: int) -> AxisMap:
    weight = np.zeros((len(windows), n + 1))
    support = np.zeros((len(windows), n + 1), bool)
    for o, window in enumerate(windows):
        for i, w in window:
            weight[o, i] += w
            support[o, i] = True
    return AxisMap(weight[:, :n], support[:, :n], weight[:, OUTSIDE])


def filter_window(c: Fraction, stretch: Fraction, method: str, cubic_coeff: float) -> Window:
    support, function = FILTERS[method]
    if method == "cubic":
        function = partial(keys_cubic, a=cubic_coeff)
    window = []
    for i in range(math.floor(c - support * stretch), math.ceil(c + support * stretch) + 1):
        d = (i - c) / stretch
        if -support < d < support or (method == "box" and d == support):
            window.append((i, function(float(d))))
    total = math.fsum(w for _, w in window)
    return [(i, w / total) for i, w in window]


def covered_pixels(begin: Fraction, end: Fraction) -> Window:
    """The pixels between two edges, each with its covered part (OpenCV's INTER_AREA)."""
    pixels = range(math.floor(begin), math.ceil(end))
    return [(i, float((min(end, i + 1) - max(begin, Fraction(i))) / (end - begin))) for i in pixels]


@lru_cache(maxsize=4096)
def axis_map(
    n_in: int,
    n_out: int,
    method: str,
    coordinates: str = "half_pixel",
    antialias: bool = False,
    border: str = "clamp",
    cubic_coeff: float = -0.5,
    nearest_rounding: str = "round_prefer_floor",
    scale: float | None = None,
    box: tuple[float, float] | None = None,
) -> AxisMap:
    """Return the map of one axis as `resize` describes it."""
    start, stop = (Fraction(0), Fraction(n_in)) if box is None else map(Fraction, box)
    grid = Grid(n_in, n_out, None if scale is None else meant(scale), start, stop - start)
    coordinate, step = COORDINATES[coordinates]
    stretch = max(Fraction(1), step(grid)) if antialias else Fraction(1)
    # A copy of a sample cannot continue a line.
    rule = clamp if (method, border) == ("nearest", "extrapolate") else BORDERS[border]
    windows: list[Window] = []
    for o in range(n_out):
        c = coordinate(o, grid) + start
        if method == "nearest":
            window = [(ROUNDINGS[nearest_rounding](c), 1.0)]
        elif method == "area":
            window = covered_pixels(start + o * grid.step, start + (o + 1) * grid.step)
        else:
            window = filter_window(c, stretch, method, cubic_coeff)
        windows.append(rule(window, n_in))
    return dense(windows, n_in)


def nearest_index(n_in: int, n_out: int, offset: float, scale: float | None) -> NDArray[np.int64]:
    """torch: floor((o + offset) * scale) in float32, one operation after the other (UpSample.h)."""
    single = np.float32
    step = single(n_in) / single(n_out) if scale is None else single(1 / scale)
    index = [int(np.floor((single(o) + single(offset)) * step)) for o in range(n_out)]
    return np.minimum(np.array(index), n_in - 1)


def selection(index: NDArray[np.int64], n_in: int) -> AxisMap:
    return dense([[(int(i), 1.0)] for i in index], n_in)


def pooled(n_in: int, n_out: int) -> AxisMap:
    """Adaptive average pooling: the mean of every pixel that an output touches (torch's mode "area")."""
    windows = []
    for o in range(n_out):
        pixels = range(math.floor(Fraction(o * n_in, n_out)), math.ceil(Fraction((o + 1) * n_in, n_out)))
        windows.append([(i, 1 / len(pixels)) for i in pixels])
    return dense(windows, n_in)


LINEAR_MODES = dict.fromkeys(("linear", "bilinear", "trilinear"), "linear")
CUBIC_MODES = dict.fromkeys(("cubic", "bicubic", "tricubic"), "cubic")
FILTER_MODES = {**LINEAR_MODES, **CUBIC_MODES, "lanczos": "lanczos3"}
NEAREST_MODES = {"nearest": 0.0, "nearest-exact": 0.5}


@lru_cache(maxsize=4096)
def torch_map(n_in: int, n_out: int, mode: str, align_corners: bool, antialias: bool, scale: float | None) -> AxisMap:
    """Return the map of one axis as torch's `interpolate` documents it."""
    if mode in NEAREST_MODES:
        return selection(nearest_index(n_in, n_out, NEAREST_MODES[mode], scale), n_in)
    if mode == "area":
        return pooled(n_in, n_out)
    method = FILTER_MODES[mode]
    if antialias:
        rule = "half_pixel_corners" if align_corners else "half_pixel"
        return axis_map(n_in, n_out, method, rule, True, "renormalize", -0.5, scale=scale)
    rule = "align_corners" if align_corners else "half_pixel"
    return axis_map(n_in, n_out, method, rule, cubic_coeff=-0.75, scale=scale)


# ---- whole arrays ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Expected:
    """What an operator has to return, and the largest sum of abs(weight * sample) behind any one of its values."""

    value: NDArray[Any]
    magnitude: float


def apply(x: NDArray[Any], maps: dict[int, AxisMap], fill: float = 0.0) -> Expected:
    """Apply one map per axis, in float64."""
    value = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
    reach = np.abs(value)
    for axis, m in maps.items():
        value = along(m.weight, value, axis, m.outside, fill)
        reach = along(np.abs(m.weight), reach, axis, np.abs(m.outside), abs(fill))
    return Expected(value, float(np.max(reach, initial=0.0)))


def along(matrix: NDArray[Any], x: NDArray[Any], axis: int, outside: NDArray[Any], fill: float) -> NDArray[Any]:
    moved = np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    return moved + (outside * fill if fill else np.zeros_like(outside)).reshape(shape)


def select(x: NDArray[Any], maps: dict[int, AxisMap]) -> NDArray[Any]:
    """Copy the samples that selecting maps choose, whatever their dtype."""
    for axis, m in maps.items():
        x = np.take(x, m.index, axis)
    return x


def each(value: Any, rank: int) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,) * rank


def geometry(lengths: Sequence[Any], size: Any, scale: Any) -> list[tuple[int, float | None]]:
    """Output size and fixed scale of every axis."""
    if scale is None:
        return [(n, None) for n in each(size, len(lengths))]
    return [(math.floor(n * s), s) for n, s in zip(lengths, each(scale, len(lengths)), strict=True)]


def spatial_axes(ndim: int, data_format: str) -> range:
    return range(2, ndim) if data_format == "channels_first" else range(1, ndim - 1)


def interpolate_maps(
    shape: tuple[int, ...],
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
    data_format: str = "channels_first",
) -> dict[int, AxisMap]:
    """Return the map of every spatial axis; the arguments are those of `interpolate`."""
    axes = spatial_axes(len(shape), data_format)
    sizes = geometry([shape[a] for a in axes], size, scale_factor)
    return {
        a: torch_map(shape[a], n, mode, bool(align_corners), antialias, None if recompute_scale_factor else scale)
        for a, (n, scale) in zip(axes, sizes, strict=True)
    }


def resize_maps(
    shape: tuple[int, ...],
    size: Any = None,
    scale: Any = None,
    axes: Any = None,
    method: Any = "linear",
    box: Any = None,
    border: Any = "clamp",
    **options: Any,
) -> dict[int, AxisMap]:
    """Return the map of every resized axis; the arguments are those of `resize`, `axes` always given."""
    axes = each(axes, 1)
    boxes = [None] * len(axes) if box is None else [tuple(pair) for pair in box]
    lengths = [shape[a] if b is None else b[1] - b[0] for a, b in zip(axes, boxes, strict=True)]
    names = each(method, len(axes)), each(border, len(axes))
    rows = zip(axes, geometry(lengths, size, scale), *names, boxes, strict=True)
    return {
        a % len(shape): axis_map(shape[a], n, m, scale=s, border=rule, box=b, **options)
        for a, (n, s), m, rule, b in rows
    }


def interpolate(x: NDArray[Any], **arguments: Any) -> Expected:
    """Return what `interpolate` has to give, in float64."""
    return apply(x, interpolate_maps(x.shape, **arguments))


def resize(x: NDArray[Any], fill_value: float = 0.0, **arguments: Any) -> Expected:
    """Return what `resize` has to give, in float64."""
    return apply(x, resize_maps(x.shape, **arguments), fill_value)


# ---- the article's loop ----------------------------------------------------------------------------------------
def article_resize(src: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Bilinear interpolation as a much copied article writes it, loop by loop; `size` is (width, height).

    Only its interior is right. At the first row and column the index -1 wraps around to the other side of the
    image; at the last ones both neighbours are the same sample, and their weights add up to 0, not to 1.
    """
    width, height = size
    src_h, src_w = src.shape[:2]
    dst = np.zeros((height, width, *src.shape[2:]), np.float64)
    for dst_y in range(height):
        for dst_x in range(width):
            src_x = (dst_x + 0.5) * (src_w / width) - 0.5
            src_y = (dst_y + 0.5) * (src_h / height) - 0.5
            x0, y0 = math.floor(src_x), math.floor(src_y)
            x1, y1 = min(x0 + 1, src_w - 1), min(y0 + 1, src_h - 1)
            top = (x1 - src_x) * src[y0, x0] + (src_x - x0) * src[y0, x1]
            bottom = (x1 - src_x) * src[y1, x0] + (src_x - x0) * src[y1, x1]
            dst[dst_y, dst_x] = (y1 - src_y) * top + (src_y - y0) * bottom
    return dst
