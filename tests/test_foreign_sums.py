"""Sums as other libraries form them: weights in fixed point, and products that are rounded before they are added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_upsample.call import apply
from gpu_upsample.plan.cache import cached
from gpu_upsample.plan.dtypes import FOREIGN
from gpu_upsample.plan.steps import FilterStep, Output, Plan, Sums, plan_steps
from gpu_upsample.plan.taps import Taps
from tests.cases import noise
from tests.tolerances import assert_same_bits

CALLS = {
    "uint8": Sums(FOREIGN["uint8 fixed"], FOREIGN["uint8 fixed"], FOREIGN["uint8 fixed"], exact=True),
    "uint8 unrounded between": Sums(FOREIGN["uint8 fixed"], FOREIGN["int32 fixed"], FOREIGN["uint8 fixed"], exact=True),
    "uint16": Sums(FOREIGN["uint16 fixed"], FOREIGN["int64 fixed"], FOREIGN["uint16 fixed"], exact=True),
    "int16": Sums(FOREIGN["int16 fixed"], FOREIGN["int64 fixed"], FOREIGN["int16 fixed"], exact=True),
    "float32": Sums(FOREIGN["float32 double"], FOREIGN["float32 double"], FOREIGN["float32 double"], exact=True),
    "int32": Sums(FOREIGN["int32 double"], FOREIGN["int32 double"], FOREIGN["int32 double"], exact=True),
    "uint32 double": Sums(FOREIGN["uint32 double"], FOREIGN["uint32 double"], FOREIGN["uint32 double"], exact=True),
    "uint16 double": Sums(FOREIGN["uint16 double"], FOREIGN["uint16 double"], FOREIGN["uint16 double"], exact=True),
}


def taps(n_in: int, n_out: int, unit: float, seed: int, width: int = 3) -> Taps:
    """Return random windows; their weights are multiples of 1 / unit, times the unit, or any number for 0."""
    random = np.random.default_rng(seed)
    start = np.sort(random.integers(0, n_in - width + 1, n_out))
    weight = random.normal(1 / width, 0.3, (n_out, width))
    return Taps(n_in, start, np.full(n_out, width), np.rint(weight * unit) if unit else weight)


def formula(x: Any, along: Taps, axis: int, source: Any, result: Any) -> Any:
    """Sum along one axis as the storages say, in NumPy."""
    x = np.moveaxis(x, axis, -1).astype(result.accumulator)
    total = np.full((*x.shape[:-1], along.n_out), result.start, result.accumulator)
    for o in range(along.n_out):
        for k in range(along.count[o]):
            product = x[..., along.start[o] + k] * along.weight[o, k].astype(result.accumulator)
            total[..., o] = total[..., o] + product
    total = np.moveaxis(total, -1, axis)
    carrier = np.dtype(result.carrier)
    if carrier.kind == "f":
        return total.astype(carrier)
    if total.dtype.kind == "f":
        total = np.where(total < 0, np.ceil(total - 0.5), np.floor(total + 0.5))
    else:
        total = total >> result.fraction
    return np.clip(total, np.iinfo(carrier).min, np.iinfo(carrier).max).astype(carrier)


@pytest.mark.parametrize("name", CALLS)
def test_sums(device: Any, name: str) -> None:
    sums = CALLS[name]
    dtype = sums.source.carrier
    x = noise((9, 11, 3), dtype) if dtype != "float32" else noise((9, 11, 3), dtype) * 1000
    fraction = sums.result.fraction
    units = (2.0 ** (fraction // 2),) * 2 if sums.between.carrier != dtype else (2.0**fraction,) * 2
    if not fraction:
        units = (0, 0)
    rows, columns = taps(9, 14, units[0], 0), taps(11, 7, units[1], 1, width=5)

    def operator(x: Any, backend: Any = None) -> Any:
        planner = cached(lambda *given: plan_steps(*given, {0: rows, 1: columns}, sums=sums))
        return apply(planner, (), {"x": x}, None, backend)

    between = formula(x, columns, 1, sums.source, sums.between)
    expected = formula(between, rows, 0, sums.between, sums.result)
    assert 0 < np.mean(expected == expected.max()) < 0.5  # some saturate, most do not
    assert_same_bits(operator(x), expected)
    assert_same_bits(device(operator, x), expected)


def test_ties_away_from_zero() -> None:
    """Where Python and most libraries round to even."""
    sums = CALLS["int32"]
    half = Taps(2, np.array([0]), np.array([2]), np.array([[0.5, 0.5]]))
    x = np.array([[1, 2], [2, 3], [-1, -2], [-2, -3]], np.int32)
    result = apply(cached(lambda *given: plan_steps(*given, {1: half}, sums=sums)), (), {"x": x}, None, None)
    assert result.ravel().tolist() == [2, 3, -2, -3]


def test_products_that_lose_bits_before_they_are_added(device: Any) -> None:
    """Of each product its high 16 bits, rounded down; of the sum all but the last 2, rounded half up."""
    x = noise((9, 40), "int16")
    x[0] = np.iinfo(np.int16).max >> 1
    rows = taps(9, 14, 2.0**11, 0, width=2)
    steps = (FilterStep((1, 9, 1, 40), rows, None, FOREIGN["int16 sixteenth"], FOREIGN["uint8 truncated"]),)

    def operator(x: Any, backend: Any = None) -> Any:
        return apply(cached(lambda *_: Plan((Output((14, 40), "uint8"),), steps)), (), {"x": x}, None, backend)

    products = x[rows.start[:, None] + np.arange(2)].astype(np.int64) * rows.weight.astype(np.int64)[:, :, None]
    expected = np.clip(((products >> 16).sum(axis=1) + 2) >> 2, 0, 255).astype(np.uint8)
    assert np.mean((expected > 0) & (expected < 255)) > 0.2
    assert_same_bits(operator(x), expected)
    assert_same_bits(device(operator, x), expected)
