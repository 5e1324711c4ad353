"""The worked examples of the articles that explain interpolation, exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cases import noise
from tests.references import article_resize
from tests.tolerances import assert_same_bits

SQUARE = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
THIRD = 1 / 3

EXAMPLES = [
    (
        {"scale_factor": 2},
        [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]],
    ),
    (
        {"scale_factor": 2, "mode": "bilinear", "align_corners": False},
        [[1, 1.25, 1.75, 2], [1.5, 1.75, 2.25, 2.5], [2.5, 2.75, 3.25, 3.5], [3, 3.25, 3.75, 4]],
    ),
    (
        {"size": (3, 5)},
        [[1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [3, 3, 3, 4, 4]],
    ),
    (
        {"size": (3, 5), "mode": "bilinear", "align_corners": True},
        [[1, 1.25, 1.5, 1.75, 2], [2, 2.25, 2.5, 2.75, 3], [3, 3.25, 3.5, 3.75, 4]],
    ),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("arguments", "rows"), EXAMPLES, ids=["nearest", "bilinear", "nearest-3x5", "aligned-3x5"])
def test_two_by_two(backend: Any, arguments: dict[str, Any], rows: list[list[float]], dtype: str) -> None:
    assert_same_bits(backend.interpolate(SQUARE.astype(dtype), **arguments), np.array([[rows]], dtype))


def test_two_by_two_with_thirds(backend: Any) -> None:
    """Aligned corners at twice the size: 1, 1.3333, 1.6667, 2."""
    actual = backend.interpolate(SQUARE, scale_factor=2, mode="bilinear", align_corners=True)[0, 0]
    line = np.array([0, THIRD, 2 * THIRD, 1])
    assert np.abs(actual - (1 + line + 2 * line[:, None])).max() < 1e-15
    assert np.array_equal(actual[0].round(4), [1, 1.3333, 1.6667, 2])


def test_two_by_two_to_three_by_three(backend: Any) -> None:
    actual = backend.interpolate(SQUARE, size=3, mode="bilinear", align_corners=True)[0, 0]
    assert_same_bits(actual, np.array([[1, 1.5, 2], [2, 2.5, 3], [3, 3.5, 4.0]]))


def test_aligned_corners_of_four_by_four(backend: Any) -> None:
    """4×4 -> 8×8: with aligned corners the result does depend on the size; without, only on the ratio."""
    ramp = np.arange(4.0).reshape(1, 1, 1, 4).repeat(4, 2)
    aligned = backend.interpolate(ramp, scale_factor=2, mode="bilinear", align_corners=True)[0, 0, 0]
    assert np.abs(aligned - np.arange(8) * 3 / 7).max() < 1e-15
    centred = backend.interpolate(ramp, scale_factor=2, mode="bilinear", align_corners=False)[0, 0, 0]
    assert_same_bits(centred, np.array([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]))


def test_points_outside_the_square_continue_the_line(backend: Any) -> None:
    """2×2 at twice the size, extrapolated: the outermost outputs lie a quarter of a pixel outside."""
    actual = backend.resize(SQUARE[0, 0], (4, 4), border="extrapolate")
    line = np.array([-0.25, 0.25, 0.75, 1.25])
    assert_same_bits(actual, 1 + line + 2 * line[:, None])


# ---- the article's loop ----------------------------------------------------------------------------------------
def test_the_loop_is_wrong_at_the_border() -> None:
    """A constant image of 100 gets a last row and column of 0; the first ones mix in the opposite side."""
    enlarged = article_resize(np.full((4, 4), 100.0), (8, 8))
    assert not enlarged[-1].any()
    assert not enlarged[:, -1].any()
    assert (enlarged[:-1, :-1] == 100).all()
    only_right = np.zeros((4, 4))
    only_right[:, -1] = 100
    assert article_resize(only_right, (8, 8))[2, 0] == 25


@pytest.mark.parametrize("size", [(8, 8), (13, 9), (20, 5)])
def test_the_loop_is_right_inside(backend: Any, size: tuple[int, int]) -> None:
    image = noise((5, 6, 3))
    loop = article_resize(image, size)
    actual = backend.resize(image, size[::-1])
    x = (np.arange(size[0]) + 0.5) * 6 / size[0] - 0.5
    y = (np.arange(size[1]) + 0.5) * 5 / size[1] - 0.5
    inside = np.ix_((y >= 0) & (y < 4), (x >= 0) & (x < 5))
    assert loop[inside].size
    assert np.abs(actual - loop)[inside].max() < 1e-14 * np.abs(image).max()
    assert np.abs(actual - loop).max() > 0.1


def test_a_constant_image_stays_constant(backend: Any) -> None:
    image = np.full((4, 4), 100, np.uint8)
    assert (backend.resize(image, (8, 8)) == 100).all()
