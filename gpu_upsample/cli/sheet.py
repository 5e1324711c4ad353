"""The comparison sheet: one part of an image, enlarged by every method, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import floor

from PIL import Image, ImageDraw, ImageFont

from gpu_upsample.cli.images import displayable, resample
from gpu_upsample.typing import Backend

_TILE = (320, 240)
_COLUMNS = 4
_MARGIN = 16
_LABEL = 26  # height of a line of text
_BACKGROUND, _TEXT, _FAINT = "#ffffff", "#1a1c20", "#6b7078"


def comparison(
    image: Image.Image,
    methods: Iterable[str],
    *,
    scale: Fraction | float,
    title: str,
    backend: Backend,
    center: tuple[int, int] | None = None,
) -> Image.Image:
    """Draw the sheet.

    Parameters
    ----------
    image : PIL.Image.Image
        The image, as `gpu_upsample.cli.images.read` returns it.
    methods : iterable of str
        The methods to show.
    scale : Fraction or float
        How much to enlarge, from 1 to 100. The larger, the smaller the part of the image that is shown.
    title : str
        What the sheet calls the image.
    backend : str
        Where to compute.
    center : (int, int), optional
        Pixel of the image in the middle of the part, (x, y); the image's own middle by default.

    Returns
    -------
    PIL.Image.Image
        The sheet, in RGB.
    """
    box = _part(image.size, scale, center)
    shown = displayable(image)
    part = shown.crop(box)
    enlarged = (floor(part.width * scale), floor(part.height * scale))
    tiles = [(method, resample(part, enlarged, method=method, antialias=False, backend=backend)) for method in methods]

    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    across, down = _TILE[0] + _MARGIN, _TILE[1] + _LABEL + _MARGIN
    sheet = Image.new("RGB", (columns * across + _MARGIN, (rows + 1) * down + _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)

    shown.thumbnail(_TILE)
    across_shown, down_shown = shown.width / image.width, shown.height / image.height
    left, right = box[0] * across_shown, box[2] * across_shown
    top, bottom = box[1] * down_shown, box[3] * down_shown
    mark = ImageDraw.Draw(shown)  # two colours: one of them shows on any image
    mark.rectangle((left, top, right, bottom), outline="white", width=2)
    mark.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="black")
    sheet.paste(shown, (_MARGIN, _MARGIN + _LABEL))
    draw.text((_MARGIN, _MARGIN), "the image", _TEXT, ImageFont.load_default(17))
    text = (_MARGIN + across, _MARGIN + _LABEL)
    draw.text(text, title, _TEXT, ImageFont.load_default(26))
    draw.multiline_text(
        (text[0], text[1] + 44),
        f"{image.width} x {image.height} pixels, {image.mode}\n"
        f"the part inside the mark, {part.width} x {part.height}, enlarged {float(scale):g} times\n"
        f"by each method of gpu_upsample.resize, on backend {backend}",
        _FAINT,
        ImageFont.load_default(17),
        spacing=8,
    )
    for number, (method, tile) in enumerate(tiles):
        row, column = divmod(number, columns)
        corner = (_MARGIN + column * across, _MARGIN + (row + 1) * down)
        draw.text(corner, method, _TEXT, ImageFont.load_default(17))
        sheet.paste(tile, (corner[0], corner[1] + _LABEL))
    return sheet


def _part(size: tuple[int, int], scale: Fraction | float, center: tuple[int, int] | None) -> tuple[int, int, int, int]:
    """Return the (left, top, right, bottom) of what fills a tile once enlarged, moved inside the image."""
    spans = []
    for length, tile, middle in zip(size, _TILE, center or (size[0] // 2, size[1] // 2), strict=True):
        extent = min(length, int(tile / scale))
        start = min(max(middle - extent // 2, 0), length - extent)
        spans.append((start, start + extent))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom
