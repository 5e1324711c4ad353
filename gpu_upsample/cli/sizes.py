"""The sizes that are asked for on the command line; whole numbers and fractions, without rounding on the way."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

_LONGEST = 2**31 - 1


@dataclass(frozen=True)
class Scale:
    """A multiple of the size of an image: ``--scale``.

    Attributes
    ----------
    factor : Fraction
        The factor for both sides, exactly as typed.
    text : str
        What was typed.

    Examples
    --------
    >>> Scale(Fraction("0.57"), "0.57").of((100, 301))
    (57, 171)
    """

    factor: Fraction
    text: str

    def __str__(self) -> str:
        return f"--scale {self.text}"

    def of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the width and height for an image of `size`: the products, rounded down.

        Raises
        ------
        ValueError
            As in `checked`.
        """
        width, height = (floor(length * self.factor) for length in size)
        return checked(self, size, (width, height))


@dataclass(frozen=True)
class Pixels:
    """Width and height: ``--size``. Where one is None, it follows from the shape of the image.

    Attributes
    ----------
    width, height : int or None
        In pixels; not both are None.
    fit : bool
        Whether the result keeps the shape of the image and is as large as fits into `width` and `height`.

    Examples
    --------
    >>> Pixels(1920, None).of((3000, 2001)), Pixels(None, 10).of((3000, 2001))
    ((1920, 1281), (15, 10))
    >>> Pixels(1920, 1080, fit=True).of((3000, 2001)), Pixels(1920, 1080).of((3000, 2001))
    ((1619, 1080), (1920, 1080))
    """

    width: int | None
    height: int | None
    fit: bool = False

    def __str__(self) -> str:
        return f"--size {self.width or ''}x{self.height or ''}"

    def of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the width and height for an image of `size`; a side that follows is rounded to nearest, at least 1.

        Raises
        ------
        ValueError
            As in `checked`.
        """
        if self.width is not None and self.height is not None and not self.fit:
            return checked(self, size, (self.width, self.height))
        asked = (self.width, self.height)
        factor = min(Fraction(new, old) for new, old in zip(asked, size, strict=True) if new is not None)
        width, height = (max(1, floor(length * factor + Fraction(1, 2))) for length in size)
        return checked(self, size, (width, height))


Size = Scale | Pixels


def checked(asked: Size, size: tuple[int, int], result: tuple[int, int]) -> tuple[int, int]:
    """Return the size that was asked for, if an image may have it.

    Raises
    ------
    ValueError
        If no pixel of an image of `size` is left, or a side gets longer than the operators allow.
    """
    if min(result) < 1:
        raise ValueError(f"{asked} leaves no pixel of a {size[0]} x {size[1]} image")
    if max(result) > _LONGEST:
        raise ValueError(f"{asked} of a {size[0]} x {size[1]} image is more than {_LONGEST} pixels a side")
    return result
