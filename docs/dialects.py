"""Writes dialects.md and dialects.png: how the libraries differ on one photograph, why, and which call is which.

Run by ``make docs``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent

Image = NDArray[Any]
Size = tuple[int, int]
Resize = Callable[[Image, Size], Image]


# ---- the libraries: uint8 H×W×C in, uint8 or float out ----------------------------------------------------------
def pillow(x: Image, size: Size, *, filter: str) -> Image:  # noqa: A002 - Pillow's word
    """Return Pillow's result."""
    import PIL.Image

    return np.asarray(PIL.Image.fromarray(x).resize(size[::-1], getattr(PIL.Image.Resampling, filter)))


def our_pillow(x: Image, size: Size, *, filter: str) -> Image:  # noqa: A002
    """Return what stands for it."""
    from gpu_upsample.compat import pillow

    return np.asarray(pillow.resize(x, size[::-1], getattr(pillow, filter)))


def opencv(x: Image, size: Size, *, interpolation: str) -> Image:
    """Return OpenCV's result."""
    import cv2

    return np.asarray(cv2.resize(x, size[::-1], interpolation=getattr(cv2, interpolation)))


def our_opencv(x: Image, size: Size, *, interpolation: str) -> Image:
    """Return what stands for it."""
    from gpu_upsample.compat import opencv

    return np.asarray(opencv.resize(x, size[::-1], interpolation=getattr(opencv, interpolation)))


def _of_tensors(interpolate: Any, x: Image, size: Size, **how: Any) -> Image:
    import torch

    batch = torch.from_numpy(np.ascontiguousarray(x)).permute(2, 0, 1)[None]
    return np.asarray(interpolate(batch, size=size, **how)[0].permute(1, 2, 0))


def torch(x: Image, size: Size, **how: Any) -> Image:
    """Return torch's result."""
    from torch.nn.functional import interpolate

    return _of_tensors(interpolate, x, size, **how)


def our_torch(x: Image, size: Size, **how: Any) -> Image:
    """Return what stands for it."""
    from gpu_upsample.compat.torch import interpolate

    return _of_tensors(interpolate, x, size, **how)


def onnx(x: Image, size: Size, *, mode: str) -> Image:
    """Return the result of ONNX's reference evaluator."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    node = helper.make_node("Resize", ["X", "", "", "sizes"], ["Y"], mode=mode, axes=[0, 1])
    typed = {"X": TensorProto.FLOAT, "sizes": TensorProto.INT64, "Y": TensorProto.FLOAT}
    given, sizes, made = (helper.make_tensor_value_info(name, kind, None) for name, kind in typed.items())
    model = helper.make_model(helper.make_graph([node], "resize", [given, sizes], [made]))
    return np.asarray(ReferenceEvaluator(model).run(None, {"X": x.astype(np.float32), "sizes": np.array(size)})[0])


def our_onnx(x: Image, size: Size, *, mode: str) -> Image:
    """Return what stands for it."""
    from gpu_upsample.compat import onnx

    return np.asarray(onnx.resize(x.astype(np.float32), sizes=size, axes=[0, 1], mode=mode))


def jax(x: Image, size: Size, *, method: str) -> Image:
    """Return JAX's result."""
    from jax.image import resize

    return np.asarray(resize(x.astype(np.float32), (*size, 3), method))


def our_jax(x: Image, size: Size, *, method: str) -> Image:
    """Return what stands for it."""
    from gpu_upsample.compat import jax

    return np.asarray(jax.image.resize(x.astype(np.float32), (*size, 3), method))


def scipy(x: Image, size: Size, *, order: int) -> Image:
    """Return SciPy's result."""
    from scipy.ndimage import zoom

    return np.asarray(zoom(x, (size[0] / x.shape[0], size[1] / x.shape[1], 1), order=order))


def our_scipy(x: Image, size: Size, *, order: int) -> Image:
    """Return what stands for it."""
    from gpu_upsample.compat import scipy

    return np.asarray(scipy.ndimage.zoom(x, (size[0] / x.shape[0], size[1] / x.shape[1], 1), order=order))


# ---- two tasks --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Dialect:
    """One library's way of resizing an image, and ours of doing the same.

    Attributes
    ----------
    library, package : str
        What it is called, and where its version is found.
    call, rule : str
        The call as a reader would type it, and what it does.
    theirs, ours : callable
        Return the library's result and that of the module of `gpu_upsample.compat`.
    """

    library: str
    package: str
    call: str
    rule: str
    theirs: Resize
    ours: Resize


def _dialect(library: str, package: str, call: str, rule: str, theirs: Any, ours: Any, **how: Any) -> Dialect:
    return Dialect(library, package, call, rule, partial(theirs, **how), partial(ours, **how))


_CV = "opencv-python-headless"
SHRINK = (
    _dialect(
        "Pillow", "pillow", "pillow: resize(image, size, BILINEAR)",
        "the filter is widened (antialias); weights of 22 bits; rounded to uint8 between the two axes",
        pillow, our_pillow, filter="BILINEAR",
    ),
    _dialect(
        "torch, antialias", "torch", 'torch: interpolate(x, size, mode="bilinear", antialias=True)',
        "like Pillow, with weights of 16 bits",
        torch, our_torch, mode="bilinear", antialias=True,
    ),
    _dialect(
        "JAX", "jax", 'jax: image.resize(x, shape, "bilinear")',
        "widened unless antialias=False; float32, never rounded",
        jax, our_jax, method="bilinear",
    ),
    _dialect(
        "OpenCV, area", _CV, "opencv: resize(x, size, interpolation=INTER_AREA)",
        "the mean of the pixels that an output pixel covers: a box instead of a triangle",
        opencv, our_opencv, interpolation="INTER_AREA",
    ),
    _dialect(
        "torch", "torch", 'torch: interpolate(x, size, mode="bilinear")',
        "not widened: only the two nearest samples along each axis count; weights of 16 bits",
        torch, our_torch, mode="bilinear",
    ),
    _dialect(
        "OpenCV, linear", _CV, "opencv: resize(x, size)",
        "not widened; weights of 11 bits; rounded once",
        opencv, our_opencv, interpolation="INTER_LINEAR",
    ),
    _dialect(
        "ONNX", "onnx", 'onnx: resize(X, sizes=size, mode="linear")',
        "not widened unless antialias=1; floating point, never rounded",
        onnx, our_onnx, mode="linear",
    ),
    _dialect(
        "SciPy", "scipy", "scipy: ndimage.zoom(x, factors, order=1)",
        "not widened; the outermost samples stay where they are, unless grid_mode=True; rounded once",
        scipy, our_scipy, order=1,
    ),
)  # fmt: skip
ENLARGE = (
    _dialect(
        "Pillow", "pillow", "pillow: resize(image, size, BICUBIC)",
        "coefficient -0.5; samples beyond the border have no weight, the others are scaled up; rounded between the "
        "axes",
        pillow, our_pillow, filter="BICUBIC",
    ),
    _dialect(
        "JAX", "jax", 'jax: image.resize(x, shape, "bicubic")',
        "coefficient -0.5; the border like Pillow; float32, never rounded",
        jax, our_jax, method="bicubic",
    ),
    _dialect(
        "torch", "torch", 'torch: interpolate(x, size, mode="bicubic")',
        "coefficient -0.75; the border pixel is repeated; rounded between the axes",
        torch, our_torch, mode="bicubic",
    ),
    _dialect(
        "OpenCV", _CV, "opencv: resize(x, size, interpolation=INTER_CUBIC)",
        "coefficient -0.75; the border pixel is repeated; weights of 11 bits; rounded once",
        opencv, our_opencv, interpolation="INTER_CUBIC",
    ),
    _dialect(
        "ONNX", "onnx", 'onnx: resize(X, sizes=size, mode="cubic")',
        "coefficient -0.75; the border pixel is repeated; floating point",
        onnx, our_onnx, mode="cubic",
    ),
    _dialect(
        "SciPy", "scipy", "scipy: ndimage.zoom(x, factors)",
        "a cubic spline through the samples; the outermost ones stay where they are; rounded once",
        scipy, our_scipy, order=3,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A photograph to resize, and what the libraries make of it.

    Attributes
    ----------
    title : str
        What is asked of the libraries.
    dialects : tuple of Dialect
        Who is asked, and how.
    image : ndarray of uint8, shape (height, width, 3)
        The photograph.
    size : tuple of int
        Height and width of the result.
    detail : tuple of slice
        The part of the result that is drawn.
    """

    title: str
    dialects: tuple[Dialect, ...]
    image: Image
    size: Size
    detail: tuple[slice, slice]

    def results(self) -> list[tuple[Image, Image]]:
        """Return every library's result, and ours."""
        return [
            (dialect.theirs(self.image, self.size), dialect.ours(self.image, self.size)) for dialect in self.dialects
        ]


def tasks() -> tuple[Task, Task]:
    """Return what the page is about: scikit-image's cup of coffee made smaller, and a part of it made larger."""
    from skimage import data

    photograph = data.coffee()
    part = np.ascontiguousarray(photograph[190:270, 330:430])
    return (
        Task(
            "A photograph of 600 × 400 pixels, shrunk to 170 × 113 by a linear filter",
            SHRINK, photograph, (113, 170), (slice(40, 76), slice(70, 124)),
        ),
        Task(
            "100 × 80 pixels of it, enlarged to 237 × 190 by a cubic filter",
            ENLARGE, part, (190, 237), (slice(60, 120), slice(40, 130)),
        ),
    )  # fmt: skip


# ---- the page ---------------------------------------------------------------------------------------------------
def levels(image: Image) -> Image:
    """Return an image as 8-bit levels."""
    return np.asarray(np.clip(np.rint(image), 0, 255).astype(np.int16))


def _reproduced(theirs: Image, ours: Image) -> str:
    """Return how far our result is from the library's."""
    if np.array_equal(theirs, ours):
        return "bit for bit"
    difference = np.abs(theirs.astype(float) - ours)
    if theirs.dtype.kind == "f":
        return f"within {difference.max():.0e} levels"
    return f"{100 * np.mean(difference > 0):.2g} % of the values differ, by {difference.max():.0f}"


def _section(task: Task, picture: str) -> list[str]:
    results = task.results()
    lines = [
        f"## {task.title}",
        "",
        f"![part of every library's result, and its difference from the first]({picture})",
        "",
        "| library | what it does | in `gpu_upsample.compat` | agreement with the library |",
        "|---|---|---|---|",
    ]
    for dialect, (theirs, ours) in zip(task.dialects, results, strict=True):
        name = f"{dialect.library}, {version(dialect.package).partition('+')[0]}"
        lines.append(f"| {name} | {dialect.rule} | `{dialect.call}` | {_reproduced(theirs, ours)} |")
    lines += [
        "",
        "Between the libraries: the largest and the mean difference of a value, in levels of 255.",
        "",
        "| | " + " | ".join(dialect.library for dialect in task.dialects) + " |",
        "|---" * (len(results) + 1) + "|",
    ]
    for row, dialect in enumerate(task.dialects):
        differences = [np.abs(levels(results[row][0]) - levels(theirs)) for theirs, _ in results]
        cells = [f"{d.max()}, {d.mean():.2f}" if column != row else "" for column, d in enumerate(differences)]
        lines.append(f"| **{dialect.library}** | " + " | ".join(cells) + " |")
    return [*lines, ""]


HEAD = """\
# Dialects

When libraries resize the same photograph, to the same size, with a filter of the same name, they return different
pixels. A model that was trained on the pixels of one library loses accuracy on those of another. `gpu_upsample.compat`
has functions of these libraries, with their arguments and numerics, on the CPU and on the GPU. It imports none of them,
except torch for torch tensors. `make docs` writes this page from the results of the installed libraries.
"""

TAIL = """\
## All modules

| library | module | agreement |
|---|---|---|
| Pillow | `compat.pillow` | bit for bit, but for overflows of mode I: all filters, boxes, `reduce`, `thumbnail` |
| torch, uint8 | `compat.torch`, `compat.torch_uint8` | bit for bit with its CPU kernels (bilinear, bicubic, Lanczos) |
| torch, floating point | `compat.torch`, `gu.interpolate` | up to rounding; `compat.torch` is differentiable |
| OpenCV | `compat.opencv` | bit for bit for nearest, exact linear, and area by whole factors; other integers within 1 |
| ONNX | `compat.onnx` | up to rounding: Resize, MaxPool, MaxUnpool, ConvTranspose, DepthToSpace, SpaceToDepth, Col2Im |
| JAX, TensorFlow, Keras, Paddle, SciPy | `compat.jax`, `.tensorflow`, `.keras`, `.paddle`, `.scipy` | up to rounding |

The tests compare each module with its library on hundreds or thousands of random calls. TensorFlow and Paddle are too
large to install for that; the tests compare with results of theirs, recorded by the scripts in `tests/data`.
"""


def page() -> str:
    """Return the page."""
    sections = [_section(task, f"dialects_{number}.png") for number, task in enumerate(tasks(), 1)]
    return "\n".join([HEAD, *(line for section in sections for line in section), TAIL])


def draw(task: Task, path: Path) -> None:
    """Draw part of every library's result, and its difference from the first."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = [levels(theirs) for theirs, _ in task.results()]
    figure, axes = plt.subplots(2, len(shown), figsize=(2.1 * len(shown), 3.3), layout="constrained")
    largest = max(int(np.abs(image - shown[0])[task.detail].max()) for image in shown)
    for (top, bottom), dialect, image in zip(axes.T, task.dialects, shown, strict=True):
        top.imshow(image[task.detail].astype(np.uint8), interpolation="nearest")
        top.set_title(dialect.library, fontsize=9)
        difference = np.abs(image - shown[0])
        bottom.imshow(difference.max(axis=2)[task.detail], vmin=0, vmax=largest, cmap="magma", interpolation="nearest")
        bottom.set_title(f"differs by {difference.mean():.2f} on average", fontsize=7)
        for axis in (top, bottom):
            axis.set_axis_off()
    axes[1, 0].set_title(f"difference: black 0, white {largest} levels", fontsize=7)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Write the page and its pictures."""
    (HERE / "dialects.md").write_text(page())
    for number, task in enumerate(tasks(), 1):
        draw(task, HERE / f"dialects_{number}.png")


if __name__ == "__main__":
    main()
