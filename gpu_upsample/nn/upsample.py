"""Layers of interpolation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import gpu_upsample as gu
from gpu_upsample.nn.layer import Layer, checked
from gpu_upsample.plan.cache import plain
from gpu_upsample.plan.shapes import as_factor, check_exactly_one
from gpu_upsample.typing import Array, Backend, DataFormat, Integers, Mode, Numbers


@dataclass(frozen=True, repr=False)
class Upsample(Layer):
    """Resize the spatial axes of a batch.

    Parameters
    ----------
    size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, data_format
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Upsample(scale_factor=2, mode="bilinear")
    >>> layer
    Upsample(scale_factor=2.0, mode='bilinear')
    >>> layer(np.array([[[[1.0, 2.0]]]]))[0, 0]
    array([[1.  , 1.25, 1.75, 2.  ],
           [1.  , 1.25, 1.75, 2.  ]])
    """

    size: Integers | None = field(default=None, repr=False)
    scale_factor: Numbers | None = field(default=None, repr=False)
    mode: Mode = "nearest"
    align_corners: bool | None = field(default=None, repr=False)
    recompute_scale_factor: bool | None = field(default=None, repr=False)
    antialias: bool = field(default=False, repr=False, kw_only=True)
    data_format: DataFormat = field(default="channels_first", repr=False, kw_only=True)

    _RANKS: ClassVar[tuple[int, ...]] = ()
    """How many axes the class resizes, where the mode alone does not say so."""

    def __post_init__(self) -> None:
        from gpu_upsample.plan.resample import MODES, interpolation_flags

        size, factor = plain(self.size), plain(self.scale_factor)
        flags = self.align_corners, self.recompute_scale_factor, self.antialias
        interpolation_flags(size, self.mode, *flags, self.data_format)
        check_exactly_one(size, factor, "scale_factor")
        name, given = ("scale_factor", factor) if size is None else ("size", size)
        ranks = self._RANKS or MODES[self.mode].ranks
        if isinstance(given, tuple) and len(given) not in ranks:
            known = " or ".join(map(str, ranks))
            raise ValueError(f"{name} must have an entry per axis, {known} for mode {self.mode!r}; got {given!r}")
        if size is not None:
            size = checked("size", size, None, 1)
        elif isinstance(factor, tuple):
            factor = tuple(as_factor("scale_factor", number) for number in factor)
        else:
            factor = as_factor("scale_factor", factor)
        self._set(size=size, scale_factor=factor)

    def __call__(self, x: Array, *, out: Array | None = None, backend: Backend | None = None) -> Array:
        """Resize the spatial axes of `x`."""
        return gu.interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
            self.antialias,
            data_format=self.data_format,
            out=out,
            backend=backend,
        )


class UpsamplingNearest2d(Upsample):
    """Resize images with nearest-neighbour interpolation.

    Parameters
    ----------
    size, scale_factor
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> UpsamplingNearest2d(scale_factor=2)(np.array([[[[1, 2]]]]))[0, 0]
    array([[1, 1, 2, 2],
           [1, 1, 2, 2]])
    """

    _IMPLIED = ("mode", "align_corners")
    _RANKS = (2,)

    def __init__(self, size: Integers | None = None, scale_factor: Numbers | None = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Resize images bilinearly, with aligned corners.

    Parameters
    ----------
    size, scale_factor
        As in `interpolate`.

    Examples
    --------
    >>> import numpy as np
    >>> UpsamplingBilinear2d(size=(1, 3))(np.array([[[[1.0, 2.0]]]]))
    array([[[[1. , 1.5, 2. ]]]])
    """

    _IMPLIED = ("mode", "align_corners")
    _RANKS = (2,)

    def __init__(self, size: Integers | None = None, scale_factor: Numbers | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)
