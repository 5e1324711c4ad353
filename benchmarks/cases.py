"""What is compared: one table of cases. How a library is asked to compute a case is in `peers.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Self

from benchmarks.targets import Target, at_least, at_most

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
class ResampleBackward(Resample):
    """The gradient of a resampling: from that of its output, to that of its input of `size`."""


@dataclass(frozen=True)
class Call(Resample):
    """Resampling by the function that users call, which makes its output: `interpolate`, ours and torch's."""


@dataclass(frozen=True)
class Imitation(Resample):
    """Resampling with another library's numbers, by our function of its name and by the original."""

    library: str = ""

    @property
    def exact(self) -> bool:
        return True


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
class ConvTransposeBackward(ConvTranspose):
    """The gradients of a transposed convolution for its input, weight and bias; the shape is that of its input."""


@dataclass(frozen=True)
class MaxPool(Work):
    """Max pooling that returns the indices, too."""

    kernel: int
    stride: int
    padding: int = 0

    def lengths_out(self, lengths: Lengths) -> Lengths:
        return tuple((n + 2 * self.padding - self.kernel) // self.stride + 1 for n in lengths)


@dataclass(frozen=True)
class MaxPoolBackward(Work):
    """The gradient of max pooling from that of its output, with one random place in each window."""

    kernel: int
    stride: int
    padding: int = 0

    @property
    def exact(self) -> bool:
        return False

    def lengths_out(self, lengths: Lengths) -> Lengths:
        return tuple((n - 1) * self.stride - 2 * self.padding + self.kernel for n in lengths)


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
    targets : tuple of Target, optional
        What is aimed at on the CPU; for a GPU, `device_targets.device_targets` says it.
    """

    label: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    work: Work
    tolerance: float | None = None
    targets: tuple[Target, ...] = ()

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
        shorter = tuple(min(n, max(_SHORTEST, n // _DIVISOR // 2 * 2)) for n in self.lengths)
        shape = self._shaped(_fewer(self.channels), shorter)
        return replace(self, shape=shape, work=self.work.small(self.lengths, shorter))

    def _shaped(self, channels: int, lengths: Lengths) -> tuple[int, ...]:
        inner = {self.layout.index("C"): channels, **dict(zip(self.spatial, lengths, strict=True))}
        return tuple(inner.get(axis, n) for axis, n in enumerate(self.shape))


def _targets(**bounds: float) -> tuple[Target, ...]:
    """Return the targets: at least so many times as fast as a peer, at most so many times as long as a copy."""
    return tuple(at_most("copy", x) if of == "copy" else at_least(of, x) for of, x in bounds.items())


def _scaled(
    methods: tuple[str, ...],
    ratio: float,
    dtype: str,
    layout: str,
    shape: tuple[int, ...],
    tolerance: float | None = None,
    **bounds: tuple[float, ...],
) -> tuple[Case, ...]:
    """Return a case for every method, with its own of each bounds; nearest has no tolerance but zero."""
    lengths = [n for n, letter in zip(shape, layout, strict=True) if letter in _SPATIAL]
    size = tuple(int(n * ratio) for n in lengths)
    return tuple(
        Case(
            f"{method} x{ratio:g}", shape, dtype, layout, Resample(method, size),
            None if method == "nearest" else tolerance,
            _targets(**{of: each[i] for of, each in bounds.items()}),
        )
        for i, method in enumerate(methods)
    )  # fmt: skip


def _gradient(method: str, layout: str, shape: tuple[int, ...], **bounds: float) -> Case:
    """Return the case of the gradient of an enlargement by 2 of an array of `shape`."""
    doubled = tuple(2 * n if letter in _SPATIAL else n for n, letter in zip(shape, layout, strict=True))
    size = tuple(n for n, letter in zip(shape, layout, strict=True) if letter in _SPATIAL)
    work = ResampleBackward(method, size)
    return Case(f"{method} x2 backward", doubled, "float32", layout, work, targets=_targets(**bounds))


def _thumbnail(method: str) -> Case:
    work = Resample(method, (224, 224), antialias=True, cubic_coeff=-0.5)
    label = f"{method} antialias to {{size}}"
    return Case(label, _FULL_HD_LAST, "uint8", "HWC", work, targets=_targets(Pillow=3, torch=1))


def _like(library: str, method: str, size: Lengths, antialias: bool, tolerance: float | None = None) -> Case:
    layout, shape = ("NHWC", (1, *_FULL_HD_LAST)) if library == "torch" else ("HWC", _FULL_HD_LAST)
    work = Imitation(method, size, antialias, -0.5 if antialias else -0.75, library)
    return Case(f"like {library}: {method} to {{size}}", shape, "uint8", layout, work, tolerance)


def _zoomed(size: Lengths, *targets: Target) -> Case:
    work = Imitation("cubic spline", size, library="SciPy")
    shape = (*(n // 2 for n in size), 3)
    return Case("like SciPy: cubic spline to {size}", shape, "float32", "HWC", work, 1e-6, targets)


def _transposed(net: str, layout: str, shape: tuple[int, ...], work: ConvTranspose, **bounds: float) -> Case:
    kernel = "x".join([str(work.kernel)] * (len(layout) - 2))
    label = f"{net} conv_transpose {kernel} s{work.stride} {{channels}}"
    tolerance = None
    if isinstance(work, ConvTransposeBackward):  # sums over all windows of all arrays
        label, tolerance = f"{label} backward", 1e-4
    return Case(label, shape, "float32", layout, work, tolerance, _targets(**bounds))


_MODES = ("nearest", "linear", "cubic")
_SINGLE = 3e-4  # torch and OpenCV compute coordinates in float32: off by up to 2e-4 of a pixel at this width
_TINY = (1, 3, 32, 32)
_FEW = (1, 4, 32, 32)
_PHOTO = (224, 224, 3)  # as networks take them
_DOUBLED, _SMALL = (2160, 3840), (224, 224)
_OF_A_CALL = (at_most("µs", 25), at_least("torch", 2))

CASES: tuple[Case, ...] = (
    *_scaled(_MODES, 2, "float32", "NCHW", _FULL_HD_FIRST, torch=(2, 3, 10), copy=(1.3, 1.3, 1.6)),
    *_scaled((*_MODES, "lanczos4"), 2, "float32", "HWC", _FULL_HD_LAST, OpenCV=(1, 1, 1, 1)),
    *_scaled(_MODES, 2, "float32", "NCHW", _FEATURES, torch=(2, 3, 8)),
    *_scaled(_MODES, 2, "float32", "NHWC", _FEATURES, torch=(1, 1, 8)),
    *_scaled(_MODES, 1.37, "float32", "NCHW", _FULL_HD_FIRST, _SINGLE, torch=(1.5, 2, 5)),
    *_scaled(_MODES, 0.61, "float32", "NCHW", _FULL_HD_FIRST, _SINGLE, torch=(1.2, 1.2, 3)),
    *_scaled(_MODES, 0.35, "float32", "NCHW", _FULL_HD_FIRST, _SINGLE, torch=(1, 1, 1)),
    *_scaled(("linear", "cubic"), 0.35, "float32", "HWC", _FULL_HD_LAST, _SINGLE, OpenCV=(1, 1)),
    *_scaled(_MODES, 2, "float16", "NCHW", _FULL_HD_FIRST, torch=(2, 2, 2)),
    *_scaled(_MODES, 2, "bfloat16", "NCHW", _FULL_HD_FIRST, torch=(2, 2, 2)),
    *_scaled(_MODES, 2, "uint16", "NCHW", _FULL_HD_FIRST),  # torch does not resample it
    *_scaled(("linear", "cubic"), 2, "uint8", "HWC", _FULL_HD_LAST, OpenCV=(1, 1)),
    *_scaled(("linear", "cubic"), 0.45, "uint8", "HWC", _FULL_HD_LAST, OpenCV=(1, 1)),
    *_scaled(("area",), 0.5, "uint8", "HWC", _FULL_HD_LAST, OpenCV=(1,)),
    *_scaled(("linear", "cubic"), 2, "uint8", "HWC", _PHOTO, OpenCV=(1, 1)),
    *_scaled(_MODES, 2, "float32", "HWC", _PHOTO, OpenCV=(1, 1, 1)),
    *(_thumbnail(method) for method in ("linear", "cubic", "lanczos3")),
    Case("cubic antialias to {size}", _FULL_HD_FIRST, "float32", "NCHW", Resample("cubic", (270, 480), True, -0.5)),
    *_scaled(("linear",), 2, "float32", "NCDHW", _VOLUME, torch=(4,)),
    _gradient("linear", "NCHW", _FULL_HD_FIRST, torch=3),
    _gradient("cubic", "NCHW", _FULL_HD_FIRST, torch=3),
    _gradient("linear", "NCDHW", _VOLUME, torch=3),
    *_scaled(("linear",), 2, "float32", "NCHW", _TINY),  # nearly all of it is the cost of the call
    Case("interpolate(): linear x2", _TINY, "float32", "NCHW", Call("linear", (64, 64)), targets=_OF_A_CALL),
    _transposed("DCGAN", "NCHW", (8, 512, 8, 8), ConvTranspose(256, 4, 2, 1), torch=0.9),
    _transposed("U-Net", "NCHW", (1, 256, 64, 64), ConvTranspose(128, 2, 2), torch=0.9),
    _transposed("U-Net", "NHWC", (1, 64, 64, 256), ConvTranspose(128, 2, 2), torch=0.9),
    _transposed("DCGAN", "NHWC", (8, 8, 8, 512), ConvTranspose(256, 4, 2, 1), torch=0.9),
    _transposed("FCN", "NCHW", (1, 21, 64, 64), ConvTranspose(21, 16, 8, 4), torch=0.9),
    _transposed("depthwise", "NCHW", _FEATURES, ConvTranspose(64, 4, 2, 1, groups=64), torch=3),
    _transposed("depthwise", "NHWC", _FEATURES, ConvTranspose(64, 4, 2, 1, groups=64), torch=2),
    _transposed("HiFi-GAN", "NCW", (1, 512, 128), ConvTranspose(256, 16, 8, 4), torch=0.9),
    _transposed("3-D U-Net", "NCDHW", (1, 128, 16, 16, 16), ConvTranspose(64, 2, 2), torch=0.9),
    _transposed("of noise", "NCHW", (16, 128, 1, 1), ConvTranspose(512, 4, 1), torch=0.9),
    _transposed("to RGB", "NCHW", (8, 72, 32, 32), ConvTranspose(3, 5, 1, 2), torch=0.9),
    _transposed("decoder", "NCHW", (4, 64, 32, 32), ConvTranspose(32, 3, 2, 1), torch=0.9),
    _transposed("FSRCNN", "NCHW", (1, 56, 128, 128), ConvTranspose(1, 9, 3, 4), torch=0.9),
    _transposed("of a signal", "NCW", (50, 1, 4000), ConvTranspose(1, 64, 4, 30), torch=0.9),
    _transposed("DCGAN", "NCHW", (8, 512, 8, 8), ConvTransposeBackward(256, 4, 2, 1), torch=0.9),
    _transposed("FSRCNN", "NCHW", (1, 56, 128, 128), ConvTransposeBackward(1, 9, 3, 4), torch=0.9),
    _transposed("U-Net", "NCHW", (1, 256, 64, 64), ConvTransposeBackward(128, 2, 2), torch=0.9),
    _transposed("U-Net", "NHWC", (1, 64, 64, 256), ConvTransposeBackward(128, 2, 2), torch=0.9),
    _transposed("FCN", "NCHW", (1, 21, 64, 64), ConvTransposeBackward(21, 16, 8, 4), torch=0.9),
    _transposed("grouped", "NCHW", _FEATURES, ConvTransposeBackward(64, 4, 2, 1, groups=4), torch=0.9),
    _transposed("depthwise", "NCHW", _FEATURES, ConvTransposeBackward(64, 4, 2, 1, groups=64), torch=1),
    _transposed("depthwise", "NHWC", _FEATURES, ConvTransposeBackward(64, 4, 2, 1, groups=64), torch=1),
    *(
        Case(f"{label} with indices", shape, dtype, "NCHW", MaxPool(*windows), None, _targets(torch=1))
        for label, shape, dtype, windows in (
            ("max_pool 2x2", (4, 64, 128, 128), "float32", (2, 2)),
            ("max_pool 3x3 s2", (8, 64, 112, 112), "float32", (3, 2, 1)),
            ("max_pool 3x3 s1", (4, 64, 112, 112), "float32", (3, 1, 1)),
            ("max_pool 5x5 s1", (4, 64, 56, 56), "float32", (5, 1, 2)),
            ("max_pool 2x2", (4, 64, 128, 128), "float16", (2, 2)),
        )
    ),
    *(
        Case(f"{label} backward", shape, "float32", "NCHW", MaxPoolBackward(*windows), None, _targets(torch=1))
        for label, shape, windows in (
            ("max_pool 2x2", (4, 64, 64, 64), (2, 2)),
            ("max_pool 3x3 s2", (8, 64, 56, 56), (3, 2, 1)),
            ("max_pool 3x3 s1", (4, 64, 112, 112), (3, 1, 1)),
        )
    ),
    Case("max_unpool 2x2", (4, 64, 64, 64), "float32", "NCHW", MaxUnpool(2), None, _targets(torch=1)),
    Case("pixel_shuffle x2", (1, 256, 96, 96), "float32", "NCHW", PixelShuffle(2), None, _targets(torch=1)),
    Case("pixel_shuffle x3", (1, 27, 360, 640), "float32", "NCHW", PixelShuffle(3), None, _targets(torch=1)),
    *(
        Case(f"one call: {label}", _FEW, "float32", "NCHW", work, targets=(at_most("µs", most),))
        for label, work, most in (
            ("conv_transpose 2x2 s2", ConvTranspose(4, 2, 2), 40),  # of which its sums take half
            ("max_pool 2x2 with indices", MaxPool(2, 2), 25),
            ("max_unpool 2x2", MaxUnpool(2), 25),
            ("pixel_shuffle x2", PixelShuffle(2), 25),
        )
    ),
    _like("Pillow", "cubic", _SMALL, True),
    _like("Pillow", "cubic", _DOUBLED, True),
    _like("OpenCV", "linear", _DOUBLED, False, 1.0),
    _like("OpenCV", "cubic", _DOUBLED, False, 1.0),
    _like("torch", "cubic", _SMALL, True),
    _like("torch", "linear", _DOUBLED, False),
    _zoomed((1080, 1920), at_least("SciPy", 10)),
)
"""The table."""
