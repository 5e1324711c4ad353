"""The commands: images in, resized images out.

Pillow, Rich and the compilers are imported by the commands that need them, so that `--help` is quick.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import click

import gpu_upsample as gu
from gpu_upsample.cli.sizes import Pixels, Scale, Size
from gpu_upsample.cli.warmup import OPERATORS, cache_folder, warm_up
from gpu_upsample.plan.dtypes import PARTS, STORAGE
from gpu_upsample.plan.resample import METHODS
from gpu_upsample.typing import Backend

if TYPE_CHECKING:
    from PIL import Image


_OF_LIBRARIES = ("nearest-exact", "linear-exact")
"""Methods that there are only with ``--like``."""


def _scale(text: str) -> Scale:
    try:
        if math.isfinite(factor := float(text)) and factor > 0:  # no more digits than can be computed with
            return Scale(Fraction(text), text)
    except ValueError:
        pass
    raise click.BadParameter(f"{text!r} is not a positive number, such as 2 or 0.5.")


def _size(text: str) -> Pixels:
    match = re.fullmatch(r"([1-9]\d*)?[x×]([1-9]\d*)?", text.lower())
    if match is None or not any(match.groups()):
        raise click.BadParameter(
            f"{text!r} is not of the form WIDTHxHEIGHT, such as 1920x1080, nor of the form 1920x or x1080."
        )
    width, height = (None if side is None else int(side) for side in match.groups())
    return Pixels(width, height)


def _point(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+),(\d+)", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not of the form X,Y, such as 170,120.")
    return int(match[1]), int(match[2])


def _colour(text: str) -> tuple[int, int, int]:
    from PIL import ImageColor

    try:
        colour = ImageColor.getrgb(text)
    except ValueError:
        colour = None
    if colour is None or len(colour) != 3:
        raise click.BadParameter(f"{text!r} is not an opaque colour, such as white or #1e90ff.")
    return colour


def _backend(_context: click.Context, _parameter: click.Parameter, name: Backend) -> Backend:
    if name != "auto":
        return name
    return "cuda" if "cuda" in gu.available_backends() else "cpu"


def _backend_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--backend",
        type=click.Choice(["auto", "cpu", "cuda"]),
        callback=_backend,
        envvar="GPU_UPSAMPLE_BACKEND",
        show_envvar=True,
        default="auto",
        show_default=True,
        help="Where to compute; auto is the GPU, if there is one.",
    )(command)


def _check_free(target: Path, overwrite: bool) -> None:
    """Refuse to replace a file, unless told to."""
    if target.exists() and not overwrite:
        raise click.ClickException(f"{target} exists; --overwrite replaces it")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(gu.__version__)
def main() -> None:
    """Resize images with the filters of gpu_upsample."""


@main.command()
@click.argument("inputs", metavar="IN...", nargs=-1, required=True, type=click.Path(True, path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write; for several images or a folder, the folder to write into.",
)
@click.option(
    "--scale",
    type=_scale,
    metavar="FACTOR",
    help="Scale factor, such as 2 or 0.5. Sizes are rounded down, with --like opencv to nearest.",
)
@click.option(
    "--size",
    type=_size,
    metavar="WIDTHxHEIGHT",
    help="Size of the result, in pixels. With WIDTHx or xHEIGHT, the other side follows from the image's shape.",
)
@click.option("--fit", is_flag=True, help="Keep the image's shape: make it as large as fits into --size.")
@click.option(
    "--method",
    type=click.Choice((*METHODS, *_OF_LIBRARIES)),
    help=f"Filter to use; {' and '.join(_OF_LIBRARIES)} only with --like.  [default: lanczos3; cubic with --like]",
)
@click.option(
    "--antialias/--no-antialias",
    default=None,
    help="Widen the filter when shrinking, which avoids aliasing.  [default: on, except for nearest and --like opencv]",
)
@click.option(
    "--like",
    type=click.Choice(["pillow", "opencv", "torch"]),
    help="Reproduce this library's pixels exactly or nearly.",
)
@click.option(
    "--background",
    type=_colour,
    metavar="COLOR",
    help="Put transparent images on a colour, such as white or #1e90ff, before they are resized.",
)
@_backend_option
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def resize(
    inputs: tuple[Path, ...],
    output: Path,
    scale: Scale | None,
    size: Pixels | None,
    fit: bool,
    method: str | None,
    antialias: bool | None,
    like: str | None,
    background: tuple[int, int, int] | None,
    backend: Backend,
    overwrite: bool,
) -> None:
    """Resize image files, or all images in a folder.

    A file that cannot be read or written is reported and skipped, and the exit code is then 1. Colour profiles and
    transparency are kept. The orientation is applied; other metadata is dropped. Palettes become colours and 1-bit
    pixels greys, also with --like pillow, whereas Pillow itself resizes both by nearest.
    """
    asked = _asked(scale, size, fit)
    resample = _resampler(method, antialias, like, backend)
    jobs = _jobs(inputs, output)

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from gpu_upsample.cli import images

    console = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = len(jobs) == 1 or not console.is_terminal  # elsewhere, a bar would leave an empty line
    failures = 0
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        for source, target in progress.track(jobs, description="Resizing"):
            try:
                _check_free(target, overwrite)
                image = images.read(source)
                if background is not None:
                    image = images.flattened(image, background)
                images.write(resample(image, asked), target)
            except gu.BackendUnavailableError as error:
                raise click.ClickException(str(error)) from error
            except Exception as error:  # noqa: BLE001 - on a corrupt file a decoder may raise anything
                failures += 1
                console.print(f"{source}: {error or type(error).__name__}")
    click.echo(f"{len(jobs) - failures} of {len(jobs)} written")
    if failures:
        raise SystemExit(1)


def _asked(scale: Scale | None, size: Pixels | None, fit: bool) -> Size:
    """Return the size that is asked for."""
    if fit and (size is None or size.width is None or size.height is None):
        raise click.UsageError("--fit needs both sides of --size, such as --size 1920x1080.")
    if size is not None and scale is None:
        return Pixels(size.width, size.height, fit)
    if scale is not None and size is None:
        return scale
    raise click.UsageError("Give either --scale or --size.")


def _resampler(
    method: str | None, antialias: bool | None, like: str | None, backend: Backend
) -> Callable[[Image.Image, Size], Image.Image]:
    """Return the function that gives an image its new size."""
    resized = (
        _by_library(like, method or "cubic", antialias, backend) if like else _by_method(method, antialias, backend)
    )

    def resample(image: Image.Image, size: Size) -> Image.Image:
        try:
            return resized(image, size)
        except MemoryError as error:
            raise ValueError(
                f"{size} of a {image.width} x {image.height} image needs more memory than there is"
            ) from error

    return resample


def _by_library(
    like: str, method: str, antialias: bool | None, backend: Backend
) -> Callable[[Image.Image, Size], Image.Image]:
    from gpu_upsample.cli.like import likeness

    try:
        return likeness(like, method, antialias, backend)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error


def _by_method(
    method: str | None, antialias: bool | None, backend: Backend
) -> Callable[[Image.Image, Size], Image.Image]:
    from gpu_upsample.cli import images

    name = method or "lanczos3"
    if name in _OF_LIBRARIES:
        raise click.UsageError(f"--method {name} is one of other libraries; it needs --like.")
    if antialias and name == "nearest":
        raise click.UsageError("--antialias has no meaning for method nearest.")
    smooth = name != "nearest" if antialias is None else antialias
    return lambda image, size: images.resample(
        image, size.of(image.size), method=name, antialias=smooth, backend=backend
    )


def _writable() -> Iterable[str]:
    """Return the suffixes of the formats that can be written."""
    from gpu_upsample.cli import images

    return images.formats("write")


def _check_suffix(output: Path) -> None:
    """Refuse a file that no image format can be written to."""
    if output.suffix.lower() not in _writable():
        raise click.BadParameter(
            f"{output.name!r} has no suffix of an image format that can be written, such as .png, .jpg or .tif.",
            param_hint="-o",
        )


def _jobs(inputs: tuple[Path, ...], output: Path) -> list[tuple[Path, Path]]:
    """Return what to read and where to write it."""
    if len(inputs) == 1 and inputs[0].is_file() and not output.is_dir():
        _check_suffix(output)
        return [(inputs[0], output)]
    if output.is_file():
        raise click.BadParameter(f"{str(output)!r} is a file; several images need a folder.", param_hint="-o")
    if not output.exists() and output.suffix.lower() in _writable():
        raise click.BadParameter(
            f"{str(output)!r} is named like an image file; several images need a folder, such as {output.stem!r}.",
            param_hint="-o",
        )
    jobs = [(source, output / name) for top in inputs for source, name in _found(top, output)]
    if not jobs:
        raise click.UsageError("No images found.")
    if len({target for _, target in jobs}) < len(jobs):
        raise click.UsageError("Two of the images would be written to the same file.")
    return jobs


def _found(top: Path, output: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the images at or below `top`, and their names in the output folder."""
    from gpu_upsample.cli import images

    if top.is_file():
        yield top, Path(top.name)
        return
    readable = images.formats("read")
    root, results = top.resolve(), output.resolve()
    nested = results != root and results.is_relative_to(root)  # what an earlier run wrote is no input
    for path in sorted(top.rglob("*")):
        earlier = nested and path.resolve().is_relative_to(results)
        if path.suffix.lower() in readable and path.is_file() and not earlier:
            yield path, path.relative_to(top)


@main.command()
@click.argument("source", metavar="IN", type=click.Path(True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", metavar="OUT", required=True, type=click.Path(path_type=Path), help="File to write.")
@click.option(
    "--scale", type=_scale, metavar="FACTOR", default="4", show_default=True, help="Scale factor, from 1 to 100."
)
@click.option("--at", type=_point, metavar="X,Y", help="Centre of the part to show, in pixels.  [default: the middle]")
@_backend_option
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def compare(
    source: Path, output: Path, scale: Scale, at: tuple[int, int] | None, backend: Backend, overwrite: bool
) -> None:
    """Enlarge part of an image with every method.

    The results are drawn side by side on one sheet.
    """
    if not 1 <= scale.factor <= 100:
        raise click.BadParameter(f"{scale.text} is not from 1 to 100.", param_hint="--scale")
    _check_suffix(output)
    _check_free(output, overwrite)

    from gpu_upsample.cli import images
    from gpu_upsample.cli.sheet import comparison

    try:
        image = images.read(source)
    except Exception as error:
        raise click.ClickException(f"{source}: {error}") from error
    if at is not None and not (at[0] < image.width and at[1] < image.height):
        raise click.BadParameter(
            f"{at[0]},{at[1]} lies outside; the last pixel of this image is {image.width - 1},{image.height - 1}.",
            param_hint="--at",
        )
    try:
        sheet = comparison(image, METHODS, scale=scale.factor, title=source.name, backend=backend, center=at)
        images.write(sheet, output)
    except gu.BackendUnavailableError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{output}: {error}") from error
    click.echo(f"{output}: {len(METHODS)} methods")


@main.command()
def info() -> None:
    """Show available backends, versions and devices."""
    gu.show_info()


_WARM_DTYPES = ("float32", "float16", "uint8")


@main.command()
@click.option(
    "--operator",
    "operators",
    type=click.Choice(list(OPERATORS)),
    multiple=True,
    help="Operator to compile for; may be repeated.  [default: all]",
)
@click.option(
    "--dtype",
    "dtypes",
    type=click.Choice((*STORAGE, *PARTS)),
    multiple=True,
    default=_WARM_DTYPES,
    show_default=True,
    help="Dtype to compile for; may be repeated.",
)
@click.option(
    "--backend",
    type=click.Choice(["all", "cpu", "cuda"]),
    default="all",
    show_default=True,
    help="Backend to compile for; all means those that this machine can run.",
)
def warmup(operators: tuple[str, ...], dtypes: tuple[str, ...], backend: Literal["all", "cpu", "cuda"]) -> None:
    """Compile kernels ahead of time.

    Kernels are otherwise compiled when a call first needs them, and stored on disk. This command makes the usual calls
    on small arrays, and reports how long each took and where the kernels are stored. Run it once after installing, or
    while building a container image.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    backends = gu.available_backends() if backend == "all" else (backend,)
    jobs = [(place, operator, dtype) for place in backends for operator in operators or OPERATORS for dtype in dtypes]
    console = Console(stderr=True, markup=False, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    start, lines = perf_counter(), []
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for place, operator, dtype in progress.track(jobs, description="Compiling"):
            before = perf_counter()
            try:
                done = warm_up(operator, dtype, place)
            except (gu.BackendUnavailableError, ImportError) as error:
                raise click.ClickException(str(error)) from error
            took = f"{perf_counter() - before:.2f} s" if done else "not for this dtype"
            lines.append(f"{place:4}  {operator:14}  {dtype:8}  {took}")
    click.echo("\n".join(lines))  # a line within a bar would break it
    number = "1 kind" if len(jobs) == 1 else f"{len(jobs)} kinds"
    click.echo(f"{number} of calls in {perf_counter() - start:.1f} s; compiled kernels are stored in")
    for place in backends:
        click.echo(f"  {cache_folder(place)}")


@main.command()
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    default="demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write into.",
)
@_backend_option
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def demo(output: Path, backend: Backend, overwrite: bool) -> None:
    """Enlarge a sample photograph with every method."""
    targets = [output / f"{name}.png" for name in ("photograph", "enlarged", "methods")]
    for target in targets:
        _check_free(target, overwrite)
    try:
        from skimage import data
    except ImportError as error:
        raise click.ClickException("The demo needs scikit-image: pip install scikit-image") from error
    from PIL import Image

    from gpu_upsample.cli import images
    from gpu_upsample.cli.sheet import comparison

    photograph = Image.fromarray(data.astronaut())
    size = (4 * photograph.width, 4 * photograph.height)

    def enlarge() -> tuple[Image.Image, float]:
        start = perf_counter()
        result = images.resample(photograph, size, method="lanczos3", antialias=False, backend=backend)
        return result, perf_counter() - start

    _, first = enlarge()
    enlarged, again = enlarge()
    sheet = comparison(
        photograph, METHODS, scale=5, title="A patch with fine print", backend=backend, center=(172, 378)
    )
    for image, target in zip((photograph, enlarged, sheet), targets, strict=True):
        images.write(image, target)
    click.echo(
        f"Enlarged a photograph 4 times with lanczos3 on backend {backend}: "
        f"{photograph.width} × {photograph.height} to {enlarged.width} × {enlarged.height} pixels.\n"
        f"The first call, which loads or compiles the kernels, took {first:.2f} s; "
        f"the second {again * 1e3:.1f} ms.\n"
        f"  {targets[0]}  the photograph\n"
        f"  {targets[1]}    four times as wide and high\n"
        f"  {targets[2]}     every method side by side"
    )
