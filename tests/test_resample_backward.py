"""The gradients of `interpolate` and `resize`: adjoints, torch's own gradients, and the same bits everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gpu_upsample as gu
from gpu_upsample.plan.resample import plan_interpolate_backward
from tests import tolerances
from tests.cases import CASES, FLOATS, Case, dtype_of, noise
from tests.references import BORDERS, resize_maps

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

SIZES = {"double": (12, 22, 14), "enlarge": (9, 15, 8), "shrink": (3, 2, 3), "one": (1, 1, 1), "long": (70, 64, 66)}


def inner(a: Any, b: Any) -> Any:
    return np.sum(a.astype(complex) * b)


def assert_adjoint(forward: Any, backward: Any, shape: tuple[int, ...], dtype: str = "float64") -> None:
    """Assert <A x, g> = <x, A^T g>, to 1e-12 of the sum of absolute products."""
    x = noise(shape, dtype)
    y = forward(x)
    g = noise(y.shape, dtype, seed=1)
    gradient = backward(g)
    assert (gradient.shape, gradient.dtype) == (x.shape, x.dtype)
    assert abs(inner(y, g) - inner(x, gradient)) <= 1e-12 * np.sum(np.abs(y * g))


# ---- adjoints --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_adjoint(backend: Any, case: Case, size: tuple[int, ...]) -> None:
    for rank in case.ranks:
        shape = case.shape((6, 11, 7)[:rank], channels=2)
        assert_adjoint(
            lambda x, rank=rank: case.call(backend, x, size[:rank]),
            lambda g, rank=rank, shape=shape: case.backward(backend, g, shape, size[:rank]),
            shape,
        )


@pytest.mark.parametrize("dtype", ["complex128", "float64"])
@pytest.mark.parametrize("axes", [(0,), (1,), (3,), (0, 2), (1, 3), (0, 1, 2, 3)])
def test_adjoint_along_any_axes(backend: Any, axes: tuple[int, ...], dtype: str) -> None:
    shape = (4, 5, 3, 6)
    methods = (["linear", "nearest"] * 2)[: len(axes)]
    how = {"size": tuple(shape[axis] * 2 - 1 for axis in axes), "axes": axes, "method": methods}
    assert_adjoint(lambda x: backend.resize(x, **how), lambda g: backend.resize_backward(g, shape, **how), shape, dtype)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("method", ["linear", "nearest", "cubic", "area"])
def test_adjoint_of_boxes_and_borders(backend: Any, method: str, border: str) -> None:
    box = ((-3.5, 12.0), (2.0, 7.25))
    how = {"size": (21, 3), "box": box, "border": border, "method": method, "axes": (0, 1)}
    shape = (9, 11, 2)
    assert_adjoint(lambda x: backend.resize(x, **how), lambda g: backend.resize_backward(g, shape, **how), shape)


@settings(max_examples=100)
@given(data=st.data())
def test_adjoint_of_any_call(backend: Any, data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(CASES))
    rank = data.draw(st.sampled_from(case.ranks))
    shape = case.shape(data.draw(st.tuples(*[st.integers(1, 12)] * rank)), channels=data.draw(st.integers(1, 3)))
    size = data.draw(st.tuples(*[st.integers(1, 30)] * rank))
    assert_adjoint(lambda x: case.call(backend, x, size), lambda g: case.backward(backend, g, shape, size), shape)


# ---- torch -----------------------------------------------------------------------------------------------------
def torch_gradient(x: Any, grad: Any, **arguments: Any) -> Any:
    layout = torch.channels_last if x.ndim == 4 else torch.contiguous_format
    leaf = torch.from_numpy(x).contiguous(memory_format=layout).requires_grad_()
    y = torch.nn.functional.interpolate(leaf, **arguments)
    y.backward(torch.from_numpy(grad))
    return y.detach().numpy(), leaf.grad.numpy()


TORCH_CALLS = [
    (rank, mode, options)
    for mode, ranks, switches in (
        ("nearest", (1, 2, 3), ({},)),
        ("nearest-exact", (1, 2, 3), ({},)),
        ("area", (1, 2, 3), ({},)),
        ("linear", (1,), ({}, {"align_corners": True})),
        ("trilinear", (3,), ({}, {"align_corners": True})),
        *(
            (m, (2,), ({}, {"align_corners": True}, {"antialias": True}, {"antialias": True, "align_corners": True}))
            for m in ("bilinear", "bicubic")
        ),
    )
    for rank in ranks
    for options in switches
]


@settings(max_examples=150)
@given(data=st.data())
def test_equals_torch(backend: Any, data: st.DataObject) -> None:
    rank, mode, options = data.draw(st.sampled_from(TORCH_CALLS))
    shape = (2, 3, *data.draw(st.tuples(*[st.integers(1, 12)] * rank)))
    size = data.draw(st.tuples(*[st.integers(1, 20)] * rank))
    x, grad = noise(shape), noise((2, 3, *size), seed=1)
    y, expected = torch_gradient(x, grad, size=size, mode=mode, **options)
    # Where torch's forward pass goes another way (its own tests say where), its gradient does, too.
    same = np.abs(backend.interpolate(x, size, mode=mode, **options) - y).max() <= tolerances.TORCH * np.abs(x).max()
    assume(same)
    actual = backend.interpolate_backward(grad, shape, size, mode=mode, **options)
    summands = max(1, np.prod(size) / np.prod(shape[2:]))
    assert np.abs(actual - expected).max() <= tolerances.TORCH * np.abs(grad).max() * summands


def test_finite_differences(backend: Any) -> None:
    how = {"size": (7, 4), "mode": "bicubic"}
    x, grad = noise((1, 1, 4, 5)), noise((1, 1, 7, 4), seed=1)
    gradient = backend.interpolate_backward(grad, x.shape, **how)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = 0.5  # the map is linear: any step is exact but for rounding
        change = backend.interpolate(x + step, **how) - backend.interpolate(x - step, **how)
        assert abs(np.sum(change * grad) - gradient[place]) < 1e-12


# ---- sums ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "area"])
def test_sums_of_16384_gradients(backend: Any, mode: str, dtype: str) -> None:
    """float16 sums of torch lost most of them (pytorch#104157)."""
    grad = np.full((1, 1, 128, 128), 1.0, dtype_of(dtype)) + noise((1, 1, 128, 128), dtype) / 64
    grad = grad.astype(dtype_of(dtype))
    shape = (1, 1, 1, 1)
    actual = backend.interpolate_backward(grad, shape, (128, 128), mode=mode)
    exact = np.full(shape, grad.astype(np.float64).sum())
    # Rounding errors of a sum in float32 grow with its length: blocks, or an axis at a time, keep them down.
    tolerances.assert_within(actual, exact, 16 * float(exact.item()), dtype)


# The last one reads every sample once, in another order.
FOLDED = [
    ("linear", 9, 40, (-20, 29)),
    ("nearest", 9, 40, (-20, 29)),
    ("cubic", 5, 7, (4, 80)),
    ("linear", 4, 2, (-1, 3)),
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("method", "n", "size", "box"), FOLDED)
@pytest.mark.parametrize("border", ["symmetric", "reflect", "wrap"])
def test_what_several_periods_add_is_rounded_once(
    backend: Any, border: Any, method: Any, n: int, size: int, box: Any, dtype: str
) -> None:
    how = {"size": size, "axes": 0, "method": method, "border": border, "box": [box]}
    (along,) = resize_maps((n,), **how).values()
    grad = noise((size, 3), dtype)
    exact, magnitude = (
        along.weight.T @ grad.astype(np.float64),
        np.abs(along.weight.T) @ np.abs(grad.astype(np.float64)),
    )
    tolerances.assert_within(backend.resize_backward(grad, (n, 3), **how), exact, float(magnitude.max()), dtype)


@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_gradients_of_a_repeated_axis_stay_with_their_samples(backend: Any, method: Any) -> None:
    """An infinity reaches the samples that its output was made of, and a sample that no output reads gets +0.0."""
    how = {"size": 4, "method": method, "border": "wrap", "box": [(3, 19)], "coordinates": "asymmetric"}
    (along,) = resize_maps((10,), axes=0, **how).values()
    for place in range(4):
        grad = np.where(np.arange(4) == place, np.inf, 1.0)
        gradient = backend.resize_backward(grad, (10,), **how)
        assert np.array_equal(np.isfinite(gradient), ~along.support[place])
        unread = ~along.support.any(axis=0)
        assert unread.any()
        assert not gradient[unread].any()
        assert not np.signbit(gradient[unread]).any()


@pytest.mark.parametrize("length", [1024, 1025, 5000])
def test_long_windows(backend: Any, length: int) -> None:
    shape = (3, 2)
    assert_adjoint(
        lambda x: backend.resize(x, length, axes=0),
        lambda g: backend.resize_backward(g, shape, length, axes=0),
        shape,
    )


def test_a_long_window_is_summed_in_blocks() -> None:
    """A thread must not sum thousands of samples alone."""
    arguments = ((1, 1, 1, 1), (4096, 4096), None, "bilinear", None, None, False, "channels_first")
    steps = plan_interpolate_backward((1, 1, 4096, 4096), "float32", *arguments).steps
    assert [step.columns.width for step in steps] == [256, 16, 256, 16]


def test_an_infinite_gradient_stays_in_its_window(backend: Any) -> None:
    grad = np.zeros((3000, 2), np.float32)
    grad[10] = np.inf
    gradient = backend.resize_backward(grad, (3, 2), 3000, axes=0)
    assert np.isinf(gradient[0]).all()
    assert (gradient[1:] == 0).all()


def test_a_sample_that_nothing_reads_has_gradient_plus_zero(backend: Any) -> None:
    gradient = backend.interpolate_backward(-np.ones((1, 1, 2, 2), np.float32), (1, 1, 8, 8), 2)
    assert not np.signbit(gradient[gradient == 0]).any()
    assert (gradient != 0).sum() == 4


def test_the_same_bits_over_runs_and_threads(use_threads: Any) -> None:
    x = noise((2, 3, 300, 301), "float32")
    results = []
    for threads in ("1", "2", "2", "3"):
        use_threads(threads)
        results.append(gu.interpolate_backward(x, (2, 3, 111, 100), (300, 301), mode="bicubic"))
    for result in results[1:]:
        tolerances.assert_same_bits(result, results[0])


def test_out(backend: Any) -> None:
    grad, out = noise((1, 2, 8, 8)), np.empty((1, 2, 4, 4))
    assert backend.interpolate_backward(grad, out.shape, 8, mode="bilinear", out=out) is out
    tolerances.assert_same_bits(out, backend.interpolate_backward(grad, out.shape, 8, mode="bilinear"))


def test_an_empty_batch(backend: Any) -> None:
    assert backend.interpolate_backward(np.empty((0, 2, 8)), (0, 2, 4), 8).shape == (0, 2, 4)


def test_the_arguments_of_resize_can_be_passed_on() -> None:
    how: dict[str, Any] = {"size": 4, "box": [(-1.0, 3.0)], "border": "constant"}
    grad = np.array([1.0, 2.0, 3.0, 4.0])
    expected = gu.resize_backward(grad, (2,), **how)
    assert gu.resize_backward(grad, (2,), fill_value=7.5, **how).tolist() == expected.tolist()
    with pytest.raises(TypeError, match="fill_value must be a number, got 'x'"):
        gu.resize_backward(grad, (2,), fill_value="x", **how)


# ---- bad input -------------------------------------------------------------------------------------------------
BAD: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "shape": (np.ones((1, 1, 5)), (1, 1, 2), ValueError, r"grad_output must have the shape .* \(1, 1, 4\); got"),
    "rank": (np.ones((1, 1, 4, 4)), (1, 1, 2), ValueError, r"grad_output must have the shape .* \(1, 1, 4\); got"),
    "batch": (np.ones((2, 1, 4)), (1, 1, 2), ValueError, "grad_output must have the shape"),
    "integers": (np.ones((1, 1, 4), int), (1, 1, 2), TypeError, "grad_output must have one of the dtypes .* int64"),
    "input_size int": (np.ones((1, 1, 4)), 2, TypeError, "input_size must be the shape of an array, got 2"),
    "input_size float": (np.ones((1, 1, 4)), (1, 1, 2.5), TypeError, r"input_size must be the shape .* \(1, 1, 2.5\)"),
    "input_size negative": (np.ones((1, 1, 4)), (1, -1, 2), ValueError, "input_size must have no negative lengths"),
    "input_size rank": (np.ones((1, 1, 4)), (1, 2), ValueError, r"input_size must have 3, 4 .* got shape \(1, 2\)"),
    "list": ([[[1.0] * 4]], (1, 1, 2), TypeError, "grad_output must be a NumPy"),
}


@pytest.mark.parametrize(("grad", "input_size", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(grad: Any, input_size: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        gu.interpolate_backward(grad, input_size, 4)


def test_a_transposed_table_that_no_memory_holds() -> None:
    """All of 30000 outputs read one sample: its window would be as long, and so every row of the table."""
    how: dict[str, Any] = {"method": "nearest", "box": ((0.0, 1.0),)}
    with pytest.raises(ValueError, match="30000 windows of up to 30000 samples; a table may hold"):
        gu.resize_backward(np.ones(30000), (30000,), 30000, **how)


@pytest.mark.parametrize("make", ["conj", "sparse"])
def test_tensors_that_are_no_plain_arrays(make: str) -> None:
    x = torch.ones(1, 1, 4, dtype=torch.complex64).conj() if make == "conj" else torch.ones(1, 1, 4).to_sparse()
    with pytest.raises(TypeError, match=r"grad_output (is conjugated|must be a dense)"):
        gu.interpolate_backward(x, (1, 1, 2), 4)


def test_bad_out_is_not_written() -> None:
    out = np.full((1, 1, 2), 7.0, np.float32)
    with pytest.raises(TypeError, match="out must have dtype float64, got float32"):
        gu.interpolate_backward(np.ones((1, 1, 4)), (1, 1, 2), 4, out=out)
    assert (out == 7).all()


def test_torch_tensors() -> None:
    grad = torch.ones(1, 1, 4, dtype=torch.bfloat16)
    result = gu.interpolate_backward(grad, (1, 1, 2), 4)
    assert result.dtype == torch.bfloat16
    assert result.tolist() == [[[2.0, 2.0]]]
