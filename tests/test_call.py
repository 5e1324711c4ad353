"""What is kept of a call: calls that are alike go one way, and a right call before makes no wrong one right."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample import call
from tests.cases import noise
from tests.tolerances import assert_same_bits

X = noise((1, 2, 6, 7), "float32")


@pytest.fixture(autouse=True)
def routes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Return the routes that the calls of a test have made; none is kept from before, or for later."""
    made: list[Any] = []
    route = call.Route

    def kept(*parts: Any) -> Any:
        made.append(route(*parts))
        return made[-1]

    monkeypatch.setattr(call, "Route", kept)
    call._route.cache_clear()
    yield made
    call._route.cache_clear()


def double(x: Any, **options: Any) -> Any:
    return gu.interpolate(x, scale_factor=2, mode="bilinear", **options)


def test_calls_that_are_alike_go_one_way(routes: list[Any]) -> None:
    expected = double(X)
    assert len(routes) == 1
    spread = np.repeat(X, 2, axis=-1)[..., ::2]
    turned = np.asfortranarray(X)
    assert not spread.flags.c_contiguous
    assert not turned.flags.c_contiguous
    fixed = X.copy()
    fixed.flags.writeable = False
    for x in (X.copy(), fixed):
        assert_same_bits(double(x), expected)
    assert len(routes) == 1
    for x in (spread, turned, np.repeat(X, 3, axis=-1)[..., ::3], X.astype(X.dtype.newbyteorder("S"))):
        assert_same_bits(double(x), expected)
    assert len(routes) == 2  # one more, for all arrays that have to be copied first


def test_what_decides_is_told_apart(routes: list[Any]) -> None:
    torch = pytest.importorskip("torch")
    out = np.empty((1, 2, 12, 14), np.float32)
    ways: list[Any] = [
        lambda: double(X),
        lambda: double(X, out=out),
        lambda: double(X, backend="cpu"),
        lambda: double(X.astype(np.float64)),
        lambda: double(X[:, :1]),
        lambda: double(torch.from_numpy(X)),
        lambda: gu.interpolate(X, scale_factor=2.0, mode="bilinear"),
        lambda: gu.resize(X, (12, 14), axes=(2, 3)),
    ]
    for number, way in enumerate(ways, 1):
        way()
        assert len(routes) == number
    assert isinstance(ways[5](), torch.Tensor)
    assert isinstance(ways[0](), np.ndarray)


class Foreign:
    """An array of a library that nobody knows, whose namespace has no hash."""

    namespace = SimpleNamespace(from_dlpack=np.from_dlpack)

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __array_namespace__(self) -> Any:
        return self.namespace

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        self.exports = getattr(self, "exports", 0) + 1
        return self.array.__dlpack__(**options)


def test_arrays_by_dlpack_are_exported_once_and_alike(routes: list[Any]) -> None:
    for _ in range(2):
        x = Foreign(X)
        assert_same_bits(double(x), double(X))
        assert x.exports == 1
    assert len(routes) == 2


def test_an_error_is_raised_each_time(routes: list[Any]) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="mode"):
            gu.interpolate(X, scale_factor=2, mode="sinc")
    assert not routes


def test_a_right_output_before_lets_no_wrong_one_pass() -> None:
    out = np.empty((1, 2, 12, 14), np.float32)
    expected = double(X)
    assert double(X, out=out) is out
    fixed = out.copy()
    fixed.flags.writeable = False
    room = np.zeros(2 * out.size, np.float32)
    inside = room[: X.size].reshape(X.shape)
    wrong: list[tuple[Any, Any, type[Exception], str]] = [
        (X, fixed, ValueError, "writable"),
        (inside, room[: out.size].reshape(out.shape), ValueError, "overlap x"),
        (X, out.astype(np.float64), TypeError, "dtype float32"),
        (X, out[..., 1:], ValueError, "shape"),
        (X, (out,), TypeError, "one array, got a tuple of 1"),
        (X, [out], TypeError, "a tuple of arrays for several results; got builtins.list"),
        (X, 7, TypeError, "out must be a NumPy"),
    ]
    for x, goal, error, says in wrong:
        with pytest.raises(error, match=says):
            double(x, out=goal)
    assert not room.any()
    spread = np.zeros((1, 2, 24, 14), np.float32)
    assert_same_bits(double(X, out=spread[:, :, ::2]), expected)
    assert not spread[:, :, 1::2].any()


def test_several_outputs() -> None:
    values, indices = gu.max_pool2d(X, 2, return_indices=True)
    pair = np.empty_like(values), np.empty_like(indices)
    assert gu.max_pool2d(X, 2, return_indices=True, out=pair) is pair
    assert_same_bits(pair[0], values)
    assert_same_bits(pair[1], indices)
    room = np.zeros(indices.size + values.size, np.int64)
    shared = room.view(np.float32)[: values.size].reshape(values.shape), room[: indices.size].reshape(indices.shape)
    for goals, error, says in (
        (values, TypeError, "a tuple of 2 arrays, got one array"),
        ((values,), TypeError, "a tuple of 2 arrays, got a tuple of 1"),
        ((), TypeError, "a tuple of 2 arrays, got a tuple of 0"),
        ([*pair], TypeError, "or a tuple of arrays for several results; got builtins.list"),
        (shared, ValueError, "another out"),
    ):
        with pytest.raises(error, match=says):
            gu.max_pool2d(X, 2, return_indices=True, out=goals)
    assert not room.any()
