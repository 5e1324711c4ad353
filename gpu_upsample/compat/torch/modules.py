"""torch's modules, with their constructors, states and texts, over the functions of this package."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gpu_upsample.compat.torch import functional


class Upsample(nn.Upsample):
    """``torch.nn.Upsample`` over `interpolate`.

    Examples
    --------
    >>> Upsample(scale_factor=2, mode="bilinear")
    Upsample(scale_factor=2.0, mode='bilinear')
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Resize the spatial axes of a batch."""
        given: Any = (self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)
        return functional.interpolate(input, *given)


class UpsamplingNearest2d(nn.UpsamplingNearest2d, Upsample):
    """``torch.nn.UpsamplingNearest2d`` over `interpolate`."""


class UpsamplingBilinear2d(nn.UpsamplingBilinear2d, Upsample):
    """``torch.nn.UpsamplingBilinear2d`` over `interpolate`."""


def _pooled(layer: Any, function: Any, x: Tensor) -> Any:
    windows = (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    return function(x, *windows, layer.ceil_mode, layer.return_indices)


class MaxPool1d(nn.MaxPool1d):
    """``torch.nn.MaxPool1d`` over `max_pool1d`."""

    def forward(self, input: Tensor) -> Any:  # noqa: A002
        """Take the largest sample of every window."""
        return _pooled(self, functional.max_pool1d, input)


class MaxPool2d(nn.MaxPool2d):
    """``torch.nn.MaxPool2d`` over `max_pool2d`."""

    def forward(self, input: Tensor) -> Any:  # noqa: A002
        """Take the largest sample of every window."""
        return _pooled(self, functional.max_pool2d, input)


class MaxPool3d(nn.MaxPool3d):
    """``torch.nn.MaxPool3d`` over `max_pool3d`."""

    def forward(self, input: Tensor) -> Any:  # noqa: A002
        """Take the largest sample of every window."""
        return _pooled(self, functional.max_pool3d, input)


class MaxUnpool1d(nn.MaxUnpool1d):
    """``torch.nn.MaxUnpool1d`` over `max_unpool1d`."""

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:  # noqa: A002
        """Place pooled samples at their indices."""
        return functional.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(nn.MaxUnpool2d):
    """``torch.nn.MaxUnpool2d`` over `max_unpool2d`."""

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:  # noqa: A002
        """Place pooled samples at their indices."""
        return functional.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(nn.MaxUnpool3d):
    """``torch.nn.MaxUnpool3d`` over `max_unpool3d`."""

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:  # noqa: A002
        """Place pooled samples at their indices."""
        return functional.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


def _spread(layer: Any, function: Any, x: Tensor, output_size: Any) -> Any:
    rank = len(layer.kernel_size)
    windows = (layer.stride, layer.padding, layer.kernel_size)
    extra = layer._output_padding(x, output_size, *windows, rank, layer.dilation)
    return function(x, layer.weight, layer.bias, layer.stride, layer.padding, extra, layer.groups, layer.dilation)


class ConvTranspose1d(nn.ConvTranspose1d):
    """``torch.nn.ConvTranspose1d`` over `conv_transpose1d`."""

    def forward(self, input: Tensor, output_size: Any = None) -> Any:  # noqa: A002
        """Compute the transposed convolution."""
        return _spread(self, functional.conv_transpose1d, input, output_size)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``torch.nn.ConvTranspose2d`` over `conv_transpose2d`."""

    def forward(self, input: Tensor, output_size: Any = None) -> Any:  # noqa: A002
        """Compute the transposed convolution."""
        return _spread(self, functional.conv_transpose2d, input, output_size)


class ConvTranspose3d(nn.ConvTranspose3d):
    """``torch.nn.ConvTranspose3d`` over `conv_transpose3d`."""

    def forward(self, input: Tensor, output_size: Any = None) -> Any:  # noqa: A002
        """Compute the transposed convolution."""
        return _spread(self, functional.conv_transpose3d, input, output_size)


class PixelShuffle(nn.PixelShuffle):
    """``torch.nn.PixelShuffle`` over `pixel_shuffle`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Turn channels into pixels."""
        return functional.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(nn.PixelUnshuffle):
    """``torch.nn.PixelUnshuffle`` over `pixel_unshuffle`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Turn pixels into channels."""
        return functional.pixel_unshuffle(input, self.downscale_factor)


class Fold(nn.Fold):
    """``torch.nn.Fold`` over `fold`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Sum overlapping windows."""
        return functional.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)


class Unfold(nn.Unfold):
    """``torch.nn.Unfold`` over `unfold`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Extract sliding windows as columns."""
        return functional.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)
