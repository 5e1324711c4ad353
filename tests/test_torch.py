"""`interpolate` against torch, where torch is right, and what torch does where it is not.

torch runs in float64 on the CPU. Wherever its own code paths disagree with each other, a test says what they do,
and the package follows the formula.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests import references, tolerances
from tests.cases import dtype_of, noise

torch = pytest.importorskip("torch")
functional = torch.nn.functional
torch.set_num_threads(1)

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
ALL_MODES = {rank: (LINEAR[rank], "area", "nearest", "nearest-exact") for rank in (1, 2, 3)}
ALL_MODES[2] += ("bicubic",)
SAME, ALIGNED = {"align_corners": False}, {"align_corners": True}
SMOOTH = {"antialias": True}
SWITCHES: dict[str, tuple[dict[str, Any], ...]] = {
    **dict.fromkeys(("area", "nearest", "nearest-exact"), ({},)),
    **dict.fromkeys(("linear", "trilinear"), (SAME, ALIGNED)),
    **dict.fromkeys(("bilinear", "bicubic"), (SAME, ALIGNED, SAME | SMOOTH, ALIGNED | SMOOTH)),
}
CALLS = [
    pytest.param(rank, mode, switches, id="-".join([mode, str(rank), *(k for k, v in switches.items() if v)]))
    for rank, modes in ALL_MODES.items()
    for mode in modes
    for switches in SWITCHES[mode]
]
# Up, down, equal, from 1, to 1, from 2, to 2, odd.
PAIRS = [(5, 8), (8, 5), (7, 7), (1, 4), (4, 1), (2, 7), (7, 2), (9, 3), (1, 1), (3, 9)]
FACTORS = [2.0, 0.5, 1.0, 1.7, 0.6, 3.0]


def torch_tensor(x: Any, layout: str = "contiguous") -> Any:
    """Return the torch tensor of a NumPy array, in one of the two memory layouts of torch."""
    tensor = torch.from_numpy(x)
    if layout == "contiguous" or x.ndim == 3:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)


def torch_interpolate(x: Any, layout: str = "channels_last", **arguments: Any) -> Any:
    """Return torch's result for a NumPy array."""
    return functional.interpolate(torch_tensor(x, layout), **arguments).contiguous().numpy()


def copies_wrongly(mode: str, n: tuple[int, ...], factors: Any) -> bool:
    """Whether torch's CPU code ignores a factor because the size it gives is a special one (tested below)."""
    special = {**dict.fromkeys(LINEAR.values(), (1,)), "nearest": (1, 2)}.get(mode, ())
    return any(int(i * f) == times * i != i * f for i, f in zip(n, factors, strict=True) for times in special)


def assert_like_torch(backend: Any, x: Any, **arguments: Any) -> None:
    expected = torch_interpolate(x, **arguments)
    actual = backend.interpolate(x, **arguments)
    if arguments["mode"] in references.NEAREST_MODES:
        tolerances.assert_same_bits(actual, expected)
        return
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    assert np.abs(actual - expected).max() <= tolerances.TORCH * np.abs(x).max()


# ---- agreement -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("rank", "mode", "switches"), CALLS)
def test_size(backend: Any, rank: int, mode: str, switches: dict[str, Any]) -> None:
    for first in range(len(PAIRS)):
        n_in, n_out = zip(*(PAIRS[(first + 3 * axis) % len(PAIRS)] for axis in range(rank)), strict=True)
        x = noise((2, 5, *n_in), seed=first)
        assert_like_torch(backend, x, size=n_out, mode=mode, **switches)


@pytest.mark.parametrize("recompute", [None, False, True])
@pytest.mark.parametrize(("rank", "mode", "switches"), CALLS)
def test_scale_factor(backend: Any, rank: int, mode: str, switches: dict[str, Any], recompute: bool | None) -> None:
    for first in range(len(FACTORS)):
        factors = tuple(FACTORS[(first + axis) % len(FACTORS)] for axis in range(rank))
        x = noise((1, 5, *(7, 6, 5)[:rank]), seed=first)
        assert_like_torch(backend, x, scale_factor=factors, mode=mode, recompute_scale_factor=recompute, **switches)


@pytest.mark.parametrize("scalar", [{"size": 6}, {"scale_factor": 1.6}])
@pytest.mark.parametrize(("rank", "mode", "switches"), CALLS)
def test_scalar_argument(backend: Any, rank: int, mode: str, switches: dict[str, Any], scalar: Any) -> None:
    assert_like_torch(backend, noise((1, 5, *(4,) * rank)), mode=mode, **scalar, **switches)


@pytest.mark.parametrize(("rank", "mode", "switches"), CALLS)
def test_channels_last(backend: Any, rank: int, mode: str, switches: dict[str, Any]) -> None:
    x = noise((2, 5, *(5, 8, 3)[:rank]))
    size = (8, 5, 4)[:rank]
    expected = torch_interpolate(x, size=size, mode=mode, **switches)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    actual = backend.interpolate(last, size, mode=mode, data_format="channels_last", **switches)
    assert actual.shape == (2, *size, 5)
    assert np.abs(np.moveaxis(actual, -1, 1) - expected).max() <= tolerances.TORCH * np.abs(x).max()


@settings(max_examples=150)
@given(data=st.data())
def test_any_call(backend: Any, data: st.DataObject) -> None:
    rank, mode, switches = data.draw(st.sampled_from([call.values for call in CALLS]))
    n_in = data.draw(st.tuples(*[st.integers(1, 12)] * rank))
    how: dict[str, Any] = {"size": data.draw(st.tuples(*[st.integers(1, 16)] * rank))}
    if data.draw(st.booleans()):
        factors = data.draw(st.tuples(*[st.floats(0.3, 4)] * rank))
        recompute = data.draw(st.sampled_from([None, True]))
        assume(min(int(n * f) for n, f in zip(n_in, factors, strict=True)) >= 1)
        assume(recompute or not copies_wrongly(mode, n_in, factors))
        how = {"scale_factor": factors, "recompute_scale_factor": recompute}
    x = noise((1, data.draw(st.sampled_from([5, 8])), *n_in))
    assert_like_torch(backend, x, mode=mode, **switches, **how)


# ---- nearest, bit for bit --------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", references.NEAREST_MODES)
def test_nearest_of_every_size(backend: Any, mode: str) -> None:
    for n in range(1, 65, 3):
        x = np.arange(float(n)).reshape(1, 1, 1, n)
        for m in range(1, 65):
            expected = torch_interpolate(x, "contiguous", size=(1, m), mode=mode)
            tolerances.assert_same_bits(backend.interpolate(x, (1, m), mode=mode), expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("mode", references.NEAREST_MODES)
@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32", "float64"])
def test_nearest_of_every_dtype(backend: Any, dtype: str, mode: str, rank: int) -> None:
    x = noise((2, 5, *(7, 5, 6)[:rank]), dtype)
    tensor = torch.from_numpy(x.view("int16")).view(torch.bfloat16) if dtype == "bfloat16" else torch.from_numpy(x)
    for how in ({"size": (11, 9, 3)[:rank]}, {"scale_factor": (0.5, 2.7, 1.5)[:rank]}):
        result = functional.interpolate(tensor, mode=mode, **how)
        bits = result.view(torch.int16).numpy() if dtype == "bfloat16" else result.numpy()
        tolerances.assert_same_bits(backend.interpolate(x, mode=mode, **how), bits.view(dtype_of(dtype)))


# ---- where torch disagrees with itself -------------------------------------------------------------------------
def torch_columns(n: int, how: dict[str, Any], mode: str, dtype: str, rows: int = 1) -> list[float]:
    """Return the samples that torch takes from a row of 0, 1, 2 …, in an image of so many rows."""
    x = np.tile(np.arange(n, dtype=dtype), (1, 1, rows, 1))
    if "size" in how:
        how = {"size": (rows, how["size"])}
    else:
        how = {"scale_factor": (1.0, how["scale_factor"])}
    return torch_interpolate(x, "contiguous", mode=mode, **how)[0, 0, 0].tolist()


def our_columns(backend: Any, n: int, how: dict[str, Any], mode: str) -> list[float]:
    return backend.interpolate(np.arange(float(n)).reshape(1, 1, n), mode=mode, **how)[0, 0].tolist()


@pytest.mark.parametrize(("mode", "n", "m"), [("nearest", 26, 22), ("nearest-exact", 14, 23)])
def test_torch_nearest_depends_on_dtype_and_size(backend: Any, mode: str, n: int, m: int) -> None:
    """Beyond 128 output rows and columns, torch takes other samples from float64 than from smaller images.

    Its CUDA kernels compute the coordinates in float32 for every dtype, and so does this package.
    """
    small = torch_columns(n, {"size": m}, mode, "float64")
    assert torch_columns(n, {"size": m}, mode, "float32") == small
    assert torch_columns(n, {"size": m}, mode, "float64", rows=200) != small
    assert our_columns(backend, n, {"size": m}, mode) == small


@pytest.mark.parametrize(("n", "factor"), [(5, 1.1), (4, 2.2)])
def test_torch_nearest_ignores_some_factors(backend: Any, n: int, factor: float) -> None:
    """Where the size does not change or doubles, torch ignores the factor, but not in larger images."""
    how = {"scale_factor": factor}
    m = int(n * factor)
    formula = references.nearest_index(n, m, 0.0, factor).tolist()
    assert torch_columns(n, how, "nearest", "float64") == references.nearest_index(n, m, 0.0, None).tolist() != formula
    assert torch_columns(n, how, "nearest", "float64", rows=200) == formula
    assert our_columns(backend, n, how, "nearest") == formula


def test_torch_nearest_exact_uses_every_factor(backend: Any) -> None:
    how = {"scale_factor": 1.14}
    formula = references.nearest_index(7, 7, 0.5, 1.14).tolist()
    assert torch_columns(7, how, "nearest-exact", "float64") == formula != list(range(7))
    assert our_columns(backend, 7, how, "nearest-exact") == formula


@pytest.mark.parametrize("rank", LINEAR)
def test_torch_linear_ignores_some_factors(backend: Any, rank: int) -> None:
    """Where the size of an axis does not change, torch's linear modes (not bicubic) copy it on the CPU."""
    x = noise((1, 5, *(3,) * rank))
    arguments = {"scale_factor": 1.2, "mode": LINEAR[rank]}
    assert np.array_equal(torch_interpolate(x, **arguments), x)
    expected = references.interpolate(x, **arguments)
    assert np.abs(expected.value - x).max() > 0.01
    tolerances.assert_within(backend.interpolate(x, **arguments), expected.value, expected.magnitude)


def test_torch_bicubic_uses_every_factor(backend: Any) -> None:
    assert_like_torch(backend, noise((1, 5, 3, 3)), scale_factor=1.2, mode="bicubic")


@pytest.mark.parametrize("switches", [SAME, ALIGNED], ids=["half_pixel", "align_corners"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("n_in", "n_out"), [((5, 1), (3, 1)), ((5, 2), (3, 1)), ((2, 1), (3, 1))])
def test_torch_antialias_is_wrong_at_width_one(
    backend: Any, n_in: Any, n_out: Any, mode: str, switches: dict[str, Any]
) -> None:
    """Contiguous images whose height changes too: torch contradicts its own result for channels_last."""
    x = noise((1, 5, *n_in))
    arguments = {"size": n_out, "mode": mode, "antialias": True, **switches}
    wrong = torch_interpolate(x, "contiguous", **arguments)
    assert np.abs(wrong - torch_interpolate(x, **arguments)).max() > 0.01
    assert_like_torch(backend, x, **arguments)
