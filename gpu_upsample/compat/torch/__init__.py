"""torch's upsampling functions and modules, for torch tensors: differentiable, with the same results on CPU and GPU.

The functions of ``torch.nn.functional`` and the modules of ``torch.nn`` with their own names, arguments and defaults
(PyTorch 2.13), and `resize`, which is that of `gpu_upsample`. They work on tensors on the CPU and on CUDA without
copying them, on torch's current stream. They are registered with ``torch.library``, so autograd, ``torch.compile`` and
``gradcheck`` support them. Gradients are summed in one fixed order, so they are identical on every run, also on a GPU,
where torch's own gradients of interpolation are not. As in torch, integers have no gradients.

Only on a GPU, long sums of transposed convolutions and of their gradients are left to a matrix product. With
``torch.use_deterministic_algorithms(True)``, they too are formed in one fixed order.

A compiled graph is valid for the shapes that it was compiled for. Under autocast, transposed convolutions use its
dtype, as torch's own do.

Of ``torch.func``, ``vmap`` works; torch warns that it calls the operator once for each entry. ``grad``, ``vjp`` and
``jacrev`` are refused by torch, as for every operator of ``torch.library``: use ``torch.autograd``. There are no
forward-mode derivatives: for ``jvp`` and ``jacfwd``, torch takes the tangents of such operators as zero, without an
error. ``torch.autograd.functional.jvp`` gives them, by two backward passes.

Importing this module imports torch; nothing else in the package does.

Examples
--------
>>> import torch
>>> from gpu_upsample.compat import torch as gut
>>> x = torch.tensor([[[1.0, 3.0]]], requires_grad=True)
>>> y = gut.interpolate(x, scale_factor=2, mode="linear")
>>> y.tolist()
[[[1.0, 1.5, 2.5, 3.0]]]
>>> y.sum().backward()
>>> x.grad
tensor([[[2., 2.]]])
>>> gut.ConvTranspose2d(3, 8, kernel_size=4, stride=2, padding=1)(torch.zeros(1, 3, 8, 8)).shape
torch.Size([1, 8, 16, 16])
"""

from gpu_upsample.compat.torch.functional import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    interpolate,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    pixel_shuffle,
    pixel_unshuffle,
    resize,
    unfold,
)
from gpu_upsample.compat.torch.modules import (
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
    Fold,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
    MaxUnpool1d,
    MaxUnpool2d,
    MaxUnpool3d,
    PixelShuffle,
    PixelUnshuffle,
    Unfold,
    Upsample,
    UpsamplingBilinear2d,
    UpsamplingNearest2d,
)

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
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "fold",
    "interpolate",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "unfold",
]
