"""Which steps a plan takes: a matter of speed; none changes what comes out by more than rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample.plan import steps
from gpu_upsample.plan.resample import plan_interpolate
from tests import tolerances
from tests.cases import noise


def route(shape: tuple[int, ...], size: tuple[int, ...], mode: str = "bilinear") -> list[str]:
    """Return what the steps sum along."""
    plan = plan_interpolate(shape, "float32", size, None, mode, None, None, True, "channels_first")
    kinds = {(True, True): "both", (True, False): "rows", (False, True): "columns"}
    return [kinds[step.rows is not None, step.columns is not None] for step in plan.steps]


ROUTES: dict[str, tuple[tuple[int, ...], tuple[int, ...], list[str]]] = {
    "enlarging": ((1, 3, 64, 64), (128, 128), ["both"]),
    "shrinking a little": ((1, 3, 64, 64), (32, 32), ["both"]),
    "a thumbnail shortens the rows first": ((1, 3, 1080, 1920), (224, 224), ["rows", "columns"]),
    "wide and enlarged in height": ((1, 3, 64, 1920), (128, 224), ["both"]),
    "few results of long windows": ((1, 1, 640, 90), (4, 9), ["rows", "columns"]),
    "blocks": ((1, 1, 8, 4000), (8, 2), ["columns", "columns"]),
    "one axis": ((1, 1, 64, 64), (64, 128), ["columns"]),
}


@pytest.mark.parametrize(("shape", "size", "expected"), ROUTES.values(), ids=ROUTES)
def test_route(shape: tuple[int, ...], size: tuple[int, ...], expected: list[str]) -> None:
    assert route(shape, size) == expected


def test_routes_differ_by_rounding_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise((2, 40, 150), "float32")
    how: dict[str, Any] = {"size": (9, 11), "axes": (1, 2), "antialias": True}
    results = [gu.resize(x, **how)]
    monkeypatch.setattr(steps, "_shrinks_first", lambda *taps: False)
    for joins in (True, False):
        monkeypatch.setattr(steps, "_joins", lambda *_, joins=joins: joins)
        how["fill_value"] = 1.0 + joins  # another plan than the cached one
        results.append(gu.resize(x, **how))
    exact = gu.resize(x.astype(np.float64), **how)
    for result in results:
        tolerances.assert_within(result, exact, np.abs(x).max())
    tolerances.assert_same_bits(results[1], results[2])  # joined or not, the sums are the same
    assert not np.array_equal(results[0], results[1])
