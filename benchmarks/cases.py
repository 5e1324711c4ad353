"""What is compared: one table of cases. How a library is asked to compute a case is in `peers.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

_SPATIAL = "DHW"
_SHORTEST = 8
_FULL_HD_FIRST = (1, 3, 1080, 1920)
_FULL_HD_LAST = (1080, 1920, 3)
_FEATURES = (8, 64, 64, 64)
_VOLUME = (1, 8, 64, 64, 64)


@dataclass(frozen=True)
class Resample:
    """The operation of a case: resampling the spatial axes to `size`.

    Enlarging and shrinking use half-pixel centres and repeat the border; with `antialias` the filter is
    stretched and renormalised at the border, as Pillow and torch do it.
    """

    method: str
    size: tuple[int, ...]
    antialias: bool = False
    cubic_coeff: float = -0.75


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Parameters
    ----------
    label : str
        What is done, in a few words; ``{size}`` stands for the output size.
    shape : tuple of int
        Shape of the input.
    dtype : str
        dtype of the input and of the output.
    layout : str
        What each axis is: N batch, C channels, and D, H, W of space.
    work : Resample
        The operation. The type of `work` selects the builder of a peer.
    tolerance : float, optional
        How far results may lie apart; by default what `compare.TOLERANCES` allows the dtype.
    """

    label: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    work: Resample
    tolerance: float | None = None

    @property
    def name(self) -> str:
        """Name of the row: unique, and what ``--only`` searches."""
        label = self.label.format(size="x".join(map(str, self.work.size)))
        return f"{label} {self.dtype} {self.layout} {'x'.join(map(str, self.shape))}"

    @property
    def spatial(self) -> tuple[int, ...]:
        """The axes that are resampled."""
        return tuple(axis for axis, letter in enumerate(self.layout) if letter in _SPATIAL)

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Shape of the output."""
        lengths = dict(zip(self.spatial, self.work.size, strict=True))
        return tuple(lengths.get(axis, n) for axis, n in enumerate(self.shape))

    @property
    def enlarges_evenly(self) -> bool:
        """Whether every output pixel is a whole fraction of an input pixel: the nearest rules then agree."""
        return all(m % self.shape[a] == 0 for a, m in zip(self.spatial, self.work.size, strict=True))

    @property
    def shrinks_evenly(self) -> bool:
        """Whether every output pixel covers a whole number of input pixels."""
        return all(self.shape[a] % m == 0 for a, m in zip(self.spatial, self.work.size, strict=True))

    @property
    def copied(self) -> int:
        """Elements of the array whose copy is the yardstick: the output, or the input where that is larger."""
        return max(prod(self.shape), prod(self.shape_out))

    def small(self, divisor: int = 16) -> Case:
        """Return the case at about a sixteenth of the length, for a quick run: even lengths, the same ratio."""
        lengths = [max(_SHORTEST, self.shape[a] // divisor // 2 * 2) for a in self.spatial]
        ratios = [m / self.shape[a] for a, m in zip(self.spatial, self.work.size, strict=True)]
        size = tuple(int(n * ratio + 1e-9) for n, ratio in zip(lengths, ratios, strict=True))
        inner = dict(zip(self.spatial, lengths, strict=True))
        shape = tuple(inner.get(axis, n) for axis, n in enumerate(self.shape))
        return replace(self, shape=shape, work=replace(self.work, size=size))


def _scaled(
    method: str, ratio: float, dtype: str, layout: str, shape: tuple[int, ...], tolerance: float | None = None
) -> Case:
    lengths = [n for n, letter in zip(shape, layout, strict=True) if letter in _SPATIAL]
    work = Resample(method, tuple(int(n * ratio) for n in lengths))
    return Case(f"{method} x{ratio:g}", shape, dtype, layout, work, tolerance)


def _thumbnail(method: str) -> Case:
    work = Resample(method, (224, 224), antialias=True, cubic_coeff=-0.5)
    return Case(f"{method} antialias to {{size}}", _FULL_HD_LAST, "uint8", "HWC", work)


_MODES = ("nearest", "linear", "cubic")
_SINGLE = 3e-4  # torch and OpenCV compute coordinates in float32: off by up to 2e-4 of a pixel at this width

CASES: tuple[Case, ...] = (
    *(_scaled(method, 2, "float32", "NCHW", _FULL_HD_FIRST) for method in _MODES),
    *(_scaled(method, 2, "float32", "HWC", _FULL_HD_LAST) for method in (*_MODES, "lanczos4")),
    *(_scaled(method, 2, "float32", "NCHW", _FEATURES) for method in _MODES),
    *(_scaled(method, 2, "float32", "NHWC", _FEATURES) for method in _MODES),
    _scaled("nearest", 1.37, "float32", "NCHW", _FULL_HD_FIRST),
    *(_scaled(method, 1.37, "float32", "NCHW", _FULL_HD_FIRST, _SINGLE) for method in _MODES[1:]),
    _scaled("nearest", 0.61, "float32", "NCHW", _FULL_HD_FIRST),
    *(_scaled(method, 0.61, "float32", "NCHW", _FULL_HD_FIRST, _SINGLE) for method in _MODES[1:]),
    *(_scaled(method, 2, dtype, "NCHW", _FULL_HD_FIRST) for dtype in ("float16", "bfloat16") for method in _MODES),
    _scaled("linear", 2, "uint8", "HWC", _FULL_HD_LAST),
    _scaled("cubic", 2, "uint8", "HWC", _FULL_HD_LAST),
    _scaled("area", 0.5, "uint8", "HWC", _FULL_HD_LAST),
    *(_thumbnail(method) for method in ("linear", "cubic", "lanczos3")),
    _scaled("linear", 2, "float32", "NCDHW", _VOLUME),
    _scaled("linear", 2, "float32", "NCHW", (1, 3, 32, 32)),  # nearly all of it is the cost of the call
)
"""The table."""
