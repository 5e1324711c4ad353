"""What is compared: one table of cases. How a library is asked to compute a case is in `peers.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Self

_SPATIAL = "DHW"
_SHORTEST = 8
_DIVISOR = 16  # a quick run is about a sixteenth as long
_FULL_HD_FIRST = (1, 3, 1080, 1920)
_FULL_HD_LAST = (1080, 1920, 3)
_FEATURES = (8, 64, 64, 64)
_VOLUME = (1, 8, 64, 64, 64)

Lengths = tuple[int, ...]


def _fewer(channels: int) -> int:
    return channels if channels % _DIVISOR else channels // _DIVISOR


class Work:
    """An operation on the spatial axes of arrays of channels; its type selects the builder of a peer."""

    @property
    def exact(self) -> bool:
        """Whether it moves samples without computing, so that all libraries must return the same."""
        return True

    def lengths_out(self, lengths: Lengths) -> Lengths:
        """Return the lengths of the output's spatial axes, given the input's."""
        raise NotImplementedError

    def channels_out(self, channels: int) -> int:
        """Return the number of channels of the output, given the input's."""
        return channels

    def small(self, _lengths: Lengths, _shorter: Lengths) -> Self:
        """Return the same operation on a shorter input, for a quick run."""
        return self


@dataclass(frozen=True)
class Resample(Work):
    """Resampling to `size`.

    Enlarging and shrinking use half-pixel centres and repeat the border; with `antialias` the filter is
    stretched and renormalised at the border, as Pillow and torch do it.
    """

    method: str
    size: Lengths
    antialias: bool = False
    cubic_coeff: float = -0.75

    @property
    def exact(self) -> bool:
        return self.method == "nearest"

    def lengths_out(self, _lengths: Lengths) -> Lengths:
        return self.size

    def small(self, lengths: Lengths, shorter: Lengths) -> Self:
        ratios = [m / n for n, m in zip(lengths, self.size, strict=True)]
        return replace(self, size=tuple(int(n * ratio + 1e-9) for n, ratio in zip(shorter, ratios, strict=True)))


@dataclass(frozen=True)
class ConvTranspose(Work):
    """Transposed convolution to `channels`, with a bias; the geometry is the same along all axes."""

    channels: int
    kernel: int
    stride: int
    padding: int = 0
    groups: int = 1

    @property
    def exact(self) -> bool:
        return False

    def lengths_out(self, lengths: Lengths) -> Lengths:
        return tuple((n - 1) * self.stride - 2 * self.padding + self.kernel for n in lengths)

    def channels_out(self, _channels: int) -> int:
        return self.channels

    def small(self, _lengths: Lengths, _shorter: Lengths) -> Self:
        return replace(self, channels=_fewer(self.channels), groups=_fewer(self.groups))


@dataclass(frozen=True)
class MaxPool(Work):
    """Max pooling that returns the indices, too."""

    kernel: int
    stride: int
    padding: int = 0

    def lengths_out(self, lengths: Lengths) -> Lengths:
        return tuple((n + 2 * self.padding - self.kernel) // self.stride + 1 for n in lengths)


@dataclass(frozen=True)
class MaxUnpool(Work):
    """Max unpooling of windows that do not overlap, with one random place in each."""

    kernel: int

    def lengths_out(self, lengths: Lengths) -> Lengths:
        return tuple(n * self.kernel for n in lengths)


@dataclass(frozen=True)
class PixelShuffle(Work):
    """Pixel shuffle in 2-D."""

    factor: int

    def lengths_out(self, lengths: Lengths) -> Lengths:
        return tuple(n * self.factor for n in lengths)

    def channels_out(self, channels: int) -> int:
        return channels // self.factor**2


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Parameters
    ----------
    label : str
        What is done, in a few words; ``{size}`` stands for the output size, ``{channels}`` for how many there are.
    shape : tuple of int
        Shape of the input.
    dtype : str
        dtype of the input and of the output.
    layout : str
        What each axis is: N batch, C channels, and D, H, W of space.
    work : Work
        The operation. Its type selects the builder of a peer.
    tolerance : float, optional
        How far results may lie apart; by default what `compare.TOLERANCES` allows the dtype.
    """

    label: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    work: Work
    tolerance: float | None = None

    @property
    def name(self) -> str:
        """Name of the row: unique, and what ``--only`` searches."""
        channels = f"{self.channels}->{self.work.channels_out(self.channels)}"
        label = self.label.format(size="x".join(map(str, self.lengths_out)), channels=channels)
        return f"{label} {self.dtype} {self.layout} {'x'.join(map(str, self.shape))}"

    @property
    def spatial(self) -> tuple[int, ...]:
        """The axes of space."""
        return tuple(axis for axis, letter in enumerate(self.layout) if letter in _SPATIAL)

    @property
    def channels(self) -> int:
        """Number of channels of the input."""
        return self.shape[self.layout.index("C")]

    @property
    def lengths(self) -> Lengths:
        """Lengths of the spatial axes of the input."""
        return tuple(self.shape[axis] for axis in self.spatial)

    @property
    def lengths_out(self) -> Lengths:
        """Lengths of the spatial axes of the output."""
        return self.work.lengths_out(self.lengths)

    @property
    def shape_out(self) -> tuple[int, ...]:
        """Shape of the output."""
        return self._shaped(self.work.channels_out(self.channels), self.lengths_out)

    @property
    def enlarges_evenly(self) -> bool:
        """Whether every output pixel is a whole fraction of an input pixel: the nearest rules then agree."""
        return all(m % n == 0 for n, m in zip(self.lengths, self.lengths_out, strict=True))

    @property
    def shrinks_evenly(self) -> bool:
        """Whether every output pixel covers a whole number of input pixels."""
        return all(n % m == 0 for n, m in zip(self.lengths, self.lengths_out, strict=True))

    @property
    def copied(self) -> int:
        """Elements of the array whose copy is the yardstick: the output, or the input where that is larger."""
        return max(prod(self.shape), prod(self.shape_out))

    def small(self) -> Case:
        """Return the case at about a sixteenth of the length, for a quick run: even lengths, the same ratio.

        It has a sixteenth of the channels, too, where these can be divided.
        """
        shorter = tuple(max(_SHORTEST, n // _DIVISOR // 2 * 2) for n in self.lengths)
        shape = self._shaped(_fewer(self.channels), shorter)
        return replace(self, shape=shape, work=self.work.small(self.lengths, shorter))

    def _shaped(self, channels: int, lengths: Lengths) -> tuple[int, ...]:
        inner = {self.layout.index("C"): channels, **dict(zip(self.spatial, lengths, strict=True))}
        return tuple(inner.get(axis, n) for axis, n in enumerate(self.shape))


def _scaled(
    method: str, ratio: float, dtype: str, layout: str, shape: tuple[int, ...], tolerance: float | None = None
) -> Case:
    lengths = [n for n, letter in zip(shape, layout, strict=True) if letter in _SPATIAL]
    work = Resample(method, tuple(int(n * ratio) for n in lengths))
    return Case(f"{method} x{ratio:g}", shape, dtype, layout, work, tolerance)


def _thumbnail(method: str) -> Case:
    work = Resample(method, (224, 224), antialias=True, cubic_coeff=-0.5)
    return Case(f"{method} antialias to {{size}}", _FULL_HD_LAST, "uint8", "HWC", work)


def _transposed(net: str, layout: str, shape: tuple[int, ...], work: ConvTranspose) -> Case:
    kernel = "x".join([str(work.kernel)] * (len(layout) - 2))
    return Case(f"{net} conv_transpose {kernel} s{work.stride} {{channels}}", shape, "float32", layout, work)


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
    _transposed("DCGAN", "NCHW", (8, 512, 8, 8), ConvTranspose(256, 4, 2, 1)),
    _transposed("U-Net", "NCHW", (1, 256, 64, 64), ConvTranspose(128, 2, 2)),
    _transposed("U-Net", "NHWC", (1, 64, 64, 256), ConvTranspose(128, 2, 2)),
    _transposed("FCN", "NCHW", (1, 21, 64, 64), ConvTranspose(21, 16, 8, 4)),
    _transposed("depthwise", "NCHW", _FEATURES, ConvTranspose(64, 4, 2, 1, groups=64)),
    _transposed("HiFi-GAN", "NCW", (1, 512, 128), ConvTranspose(256, 16, 8, 4)),
    _transposed("3-D U-Net", "NCDHW", (1, 128, 16, 16, 16), ConvTranspose(64, 2, 2)),
    Case("max_pool 2x2 with indices", (4, 64, 128, 128), "float32", "NCHW", MaxPool(2, 2)),
    Case("max_pool 3x3 s2 with indices", (8, 64, 112, 112), "float32", "NCHW", MaxPool(3, 2, 1)),
    Case("max_unpool 2x2", (4, 64, 64, 64), "float32", "NCHW", MaxUnpool(2)),
    Case("pixel_shuffle x2", (1, 256, 96, 96), "float32", "NCHW", PixelShuffle(2)),
    Case("pixel_shuffle x3", (1, 27, 360, 640), "float32", "NCHW", PixelShuffle(3)),
)
"""The table."""
