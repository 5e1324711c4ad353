"""Layers: the operators with their arguments bound, as in ``torch.nn``.

A layer is built with the arguments of ``torch.nn``, except ``device`` and ``padding_mode``. They are checked at once:
one that no call could use raises ValueError or TypeError. It is called with arrays of any type that the operators take;
every call also takes their ``out=`` and ``backend=``. A layer is pickled with its parameters.
"""

from __future__ import annotations

from gpu_upsample.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from gpu_upsample.nn.pooling import MaxPool1d, MaxPool2d, MaxPool3d, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
from gpu_upsample.nn.rearrange import Fold, PixelShuffle, PixelUnshuffle, Unfold
from gpu_upsample.nn.upsample import Upsample, UpsamplingBilinear2d, UpsamplingNearest2d

__all__ = [
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Fold",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
