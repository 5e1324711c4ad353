"""Layers of interpolation."""

from __future__ import annotations

from dataclasses import dataclass, field

import gpu_upsample as gu
from gpu_upsample.nn.layer import Layer, checked
from gpu_upsample.plan.cache import plain
from gpu_upsample.plan.shapes import as_choice, as_number, check_exactly_one
from gpu_upsample.typing import Array, Backend, Integers, Mode, Numbers


@dataclass(frozen=True, repr=False)
class Upsample(Layer):
    """Resize the spatial axes of a batch.

    Parameters
    ----------
    size, scale_factor, mode, align_corners, recompute_scale_factor
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

    def __post_init__(self) -> None:
        from gpu_upsample.plan.resample import MODES

        as_choice("mode", self.mode, MODES)
        size, factor = self.size, plain(self.scale_factor)
        check_exactly_one(size, factor, "scale_factor")
        if size is not None:
            size = checked("size", size, None, 1)
        elif isinstance(factor, tuple):
            factor = tuple(as_number("scale_factor", number) for number in factor)
        else:
            factor = as_number("scale_factor", factor)
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

    def __init__(self, size: Integers | None = None, scale_factor: Numbers | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)
