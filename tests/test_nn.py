"""The layers: torch's constructor arguments, its text, its results, and the functional forms."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpu_upsample as gu
from tests.cases import noise

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

# (name, arguments, shape of the input)
LAYERS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Upsample", {"scale_factor": 2}, (1, 2, 4, 5)),
    ("Upsample", {"size": (7, 3), "mode": "bilinear", "align_corners": True}, (1, 2, 4, 5)),
    ("Upsample", {"scale_factor": (2, 1.5), "mode": "bicubic", "recompute_scale_factor": True}, (1, 2, 4, 5)),
    ("Upsample", {"size": 9, "mode": "linear"}, (1, 2, 4)),
    ("UpsamplingNearest2d", {"scale_factor": 3}, (1, 2, 4, 5)),
    ("UpsamplingBilinear2d", {"size": (8, 9)}, (1, 2, 4, 5)),
    ("MaxPool1d", {"kernel_size": 3, "stride": 2, "padding": 1}, (2, 3, 11)),
    ("MaxPool2d", {"kernel_size": 2}, (2, 3, 8, 7)),
    ("MaxPool2d", {"kernel_size": (3, 2), "stride": (2, 1), "dilation": 2, "ceil_mode": True}, (3, 9, 8)),
    ("MaxPool3d", {"kernel_size": 2, "stride": 1}, (1, 2, 4, 5, 3)),
    ("ConvTranspose1d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "groups": 2}, (2, 4, 9)),
    ("ConvTranspose2d", {"in_channels": 3, "out_channels": 2, "kernel_size": 4, "stride": 2, "padding": 1}, (3, 5, 6)),
    (
        "ConvTranspose2d",
        {
            "in_channels": 3, "out_channels": 2, "kernel_size": (2, 3), "stride": (2, 3), "output_padding": (0, 1),
            "dilation": 2, "bias": False,
        },
        (2, 3, 5, 6),
    ),
    ("ConvTranspose3d", {"in_channels": 2, "out_channels": 1, "kernel_size": 2, "stride": 2}, (1, 2, 3, 4, 2)),
    ("PixelShuffle", {"upscale_factor": 3}, (2, 18, 4, 5)),
    ("PixelUnshuffle", {"downscale_factor": 2}, (2, 3, 4, 6)),
    ("Fold", {"output_size": (5, 6), "kernel_size": 2, "padding": 1, "stride": 2}, (2, 12, 12)),
    ("Unfold", {"kernel_size": (2, 3), "dilation": 2}, (2, 3, 7, 8)),
]  # fmt: skip


# Arguments that torch's text leaves out, or puts in although the class decides them.
UNTOLD = {"align_corners": ", align_corners=True", "recompute_scale_factor": ", recompute_scale_factor=True"}


def told(name: str, arguments: dict[str, Any], text: str) -> str:
    """Return torch's text of a layer with all of its arguments and no others."""
    if name.startswith("Upsampling"):
        return text.partition(", mode=")[0] + ")"
    return text[:-1] + "".join(words for argument, words in UNTOLD.items() if argument in arguments) + ")"


def pair(name: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """Return a layer and torch's, with the same parameters."""
    ours, theirs = getattr(gu.nn, name)(**arguments), getattr(torch.nn, name)(**arguments)
    if hasattr(theirs, "weight"):
        ours.weight = theirs.weight.detach().numpy()
        ours.bias = None if theirs.bias is None else theirs.bias.detach().numpy()
    return ours, theirs


@pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS)
def test_text_and_result_are_torchs(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    ours, theirs = pair(name, arguments)
    assert repr(ours) == told(name, arguments, repr(theirs))
    x = noise(shape, "float32")
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x))
    got = ours(x)
    assert (got.shape, got.dtype) == (tuple(expected.shape), x.dtype)
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-5, atol=1e-5)
    tensor = ours(torch.from_numpy(x))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), got)
    out = np.empty_like(got)
    assert ours(x, out=out, backend="cpu") is out
    np.testing.assert_array_equal(out, got)


@pytest.mark.parametrize(("rank", "shape"), [(1, (2, 3, 11)), (2, (2, 3, 9, 8)), (3, (3, 7, 6, 8))])
def test_pool_and_unpool(rank: int, shape: tuple[int, ...]) -> None:
    x = noise(shape, "float32")
    pool, torch_pool = pair(f"MaxPool{rank}d", {"kernel_size": 2, "return_indices": True})
    unpool, torch_unpool = pair(f"MaxUnpool{rank}d", {"kernel_size": 2})
    assert repr(pool) == repr(torch_pool).replace("ceil_mode", "return_indices=True, ceil_mode")
    assert repr(unpool) == repr(torch_unpool)
    (values, indices), expected = pool(x), torch_pool(torch.from_numpy(x))
    np.testing.assert_array_equal(values, expected[0].numpy())
    np.testing.assert_array_equal(indices, expected[1].numpy())
    np.testing.assert_array_equal(unpool(values, indices), torch_unpool(*expected).numpy())
    back = unpool(values, indices, output_size=shape[-rank:])
    np.testing.assert_array_equal(back, torch_unpool(*expected, output_size=shape[-rank:]).numpy())


# ---- the parameters of a transposed convolution -----------------------------------------------------------------
def test_parameters_are_drawn_as_torch_draws_them() -> None:
    layer = gu.nn.ConvTranspose2d(32, 48, 3, groups=2, rng=0)
    assert (layer.weight.shape, layer.weight.dtype) == ((32, 24, 3, 3), np.float32)
    assert (layer.bias.shape, layer.bias.dtype) == ((48,), np.float32)
    torch.manual_seed(0)
    theirs = torch.nn.ConvTranspose2d(32, 48, 3, groups=2)
    bound = 1 / np.sqrt(24 * 9)
    for drawn, expected in ((layer.weight, theirs.weight), (layer.bias, theirs.bias)):
        values = expected.detach().numpy()
        assert abs(drawn).max() <= bound * (1 + 1e-6)
        assert abs(values).max() <= bound * (1 + 1e-6)  # torch's rule is the same
        assert abs(abs(drawn).mean() - bound / 2) < bound / 4
    assert abs(abs(layer.weight).mean() - theirs.weight.abs().mean().item()) < bound / 20
    np.testing.assert_array_equal(gu.nn.ConvTranspose2d(32, 48, 3, groups=2, rng=0).weight, layer.weight)
    assert not np.array_equal(gu.nn.ConvTranspose2d(32, 48, 3, groups=2, rng=1).weight, layer.weight)


def test_parameters_may_be_given() -> None:
    weight, bias = noise((2, 3, 4, 4)), noise((3,))
    layer = gu.nn.ConvTranspose2d(2, 3, 4, stride=2, weight=weight, bias=bias)
    x = noise((1, 2, 5, 5))
    np.testing.assert_array_equal(layer(x), gu.conv_transpose2d(x, weight, bias, stride=2))
    layer = gu.nn.ConvTranspose2d(2, 3, 4, rng=0, dtype="float64", bias=False)
    assert layer.weight.dtype == np.float64
    assert layer.bias is None


def test_parameters_may_be_lists_of_numbers() -> None:
    x = noise((1, 2, 3, 3), "float32")
    layer = gu.nn.ConvTranspose2d(2, 2, 2, bias=[1, 2], weight=[[[[1, 2]] * 2] * 2] * 2)
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    weight = np.array([[[[1, 2]] * 2] * 2] * 2, np.float32)
    np.testing.assert_array_equal(layer(x), gu.conv_transpose2d(x, weight, np.float32([1, 2])))
    layer.bias = (3.0, 4.0)
    assert layer.bias.dtype == np.float32
    double = gu.nn.ConvTranspose2d(2, 2, 2, weight=noise((2, 2, 2, 2)), rng=0)
    assert double.bias.dtype == np.float64
    double(x.astype(np.float64))


def test_parameters_may_be_those_of_torch() -> None:
    theirs = torch.nn.ConvTranspose2d(2, 3, 2)
    layer = gu.nn.ConvTranspose2d(2, 3, 2, weight=theirs.weight, bias=theirs.bias)
    x = noise((1, 2, 3, 3), "float32")
    np.testing.assert_allclose(layer(x), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-5, atol=1e-6)
    kept = layer.weight.copy()
    with torch.no_grad():
        theirs.weight.zero_()
    np.testing.assert_array_equal(layer.weight, kept)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": int}, "dtype must be one of float16.*got <class .int.>"),
        ({"bias": np.array([1, 2])}, "bias must have one of the dtypes float16.*got int64"),
        ({"weight": np.ones((2, 2, 2, 2), np.uint8)}, "weight must have one of the dtypes float16.*got uint8"),
        ({"bias": np.ones(2)}, "bias must have the dtype of weight, float32; got float64"),
    ],
)
def test_parameters_that_no_call_could_use_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        gu.nn.ConvTranspose2d(2, 2, 2, **options)


def test_parameters_change_by_assignment_alone() -> None:
    layer = gu.nn.ConvTranspose1d(1, 1, 2, rng=0)
    x = torch.ones((1, 3))
    before = layer(x)
    with pytest.raises(ValueError, match="read-only"):
        layer.weight[...] = 0
    layer.weight = np.zeros((1, 1, 2), np.float32)
    layer.bias = np.ones(1, np.float32)
    assert not torch.equal(layer(x), before)
    assert torch.equal(layer(x), torch.ones((1, 4)))
    with pytest.raises(ValueError, match=r"weight must have shape \(1, 1, 2\), got \(1, 2\)"):
        layer.weight = np.zeros((1, 2))
    with pytest.raises(ValueError, match=r"bias must have shape \(1,\), got \(2,\)"):
        layer.bias = np.zeros(2)


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS)
def test_copies_compute_the_same(name: str, arguments: Any, shape: Any, copied: Callable[[Any], Any]) -> None:
    layer = getattr(gu.nn, name)(**arguments)
    again, x = copied(layer), noise(shape, "float32")
    assert repr(again) == repr(layer)
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_parameters_of_a_copy_are_its_own(copied: Callable[[Any], Any]) -> None:
    x, zeros = torch.ones((1, 3)), np.zeros((1, 1, 2), np.float32)
    layer = gu.nn.ConvTranspose1d(1, 1, 2, rng=0)
    before = layer(x)
    again = copied(layer)
    for array in (again.weight, again.bias):
        assert not array.flags.writeable
    again.weight, again.bias = zeros, None
    assert torch.equal(again(x), torch.zeros((1, 4)))
    assert torch.equal(layer(x), before)
    layer.weight = zeros
    assert not torch.equal(layer(x), before)
    layer.bias = None
    assert torch.equal(layer(x), torch.zeros((1, 4)))


def test_parameters_follow_the_arrays_to_a_device() -> None:
    pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
    from tests import twin

    layer = gu.nn.ConvTranspose2d(2, 3, 3, stride=2, rng=0)
    x = noise((1, 2, 4, 5), "float32")
    expected = layer(x)
    with twin.installed():
        got = layer(twin.to_twin(x))
        np.testing.assert_array_equal(np.asarray(layer(twin.to_twin(x))), np.asarray(got))
    assert isinstance(got, twin.TwinArray)
    np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-5, atol=1e-6)


def test_output_size_settles_the_output_padding() -> None:
    layer, theirs = pair("ConvTranspose2d", {"in_channels": 1, "out_channels": 1, "kernel_size": 3, "stride": 2})
    x = noise((1, 1, 4, 5), "float32")
    for size in [(9, 11), (10, 12), (1, 1, 9, 12)]:
        got = layer(x, output_size=size)
        expected = theirs(torch.from_numpy(x), output_size=size).detach().numpy()
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"output_size must lie between \(9, 11\) and \(10, 12\)"):
        layer(x, output_size=(11, 11))


# ---- construction -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ConvTranspose2d", (3, 4, 2, 1, 0, 0, 2), "in_channels must be a positive multiple of groups=2, got 3"),
        ("ConvTranspose2d", (4, 3, 2, 1, 0, 0, 2), "out_channels must be a positive multiple of groups=2, got 3"),
        ("ConvTranspose1d", (4, 4, 2, 1, 0, 0, 0), "groups=0"),
        ("ConvTranspose2d", (4, 4, (2, 2, 2)), "kernel_size"),
        ("ConvTranspose2d", (4, 4, 2, 0), "stride must be at least 1, got 0"),
        ("MaxUnpool2d", (0,), "kernel_size must be at least 1, got 0"),
        ("MaxUnpool2d", (2, 1, -1), "padding must be at least 0, got -1"),
        ("MaxPool2d", (0,), "kernel_size must be at least 1, got 0"),
        ("MaxPool2d", (3, 1, 2), "padding must be at most half of kernel_size"),
        ("MaxPool3d", ((2, 2),), "kernel_size must be one value or 3"),
        ("Upsample", (), "exactly one of size and scale_factor must be given; got neither"),
        ("Upsample", (2, 2), "exactly one of size and scale_factor must be given"),
        ("Upsample", (0,), "size must be at least 1, got 0"),
        ("Upsample", (2, None, "foo"), "mode must be one of 'nearest'"),
        ("Upsample", (None, float("nan")), "scale_factor must be finite, got nan"),
        ("Upsample", (None, -2), "scale_factor must be positive, got -2"),
        ("Upsample", ((),), "size must have an entry per axis, 1 or 2 or 3"),
        ("Upsample", (None, ()), "scale_factor must have an entry per axis, 1 or 2 or 3"),
        ("Upsample", ((2, 3), None, "linear"), "size must have an entry per axis, 1 for mode 'linear'"),
        ("Upsample", (2, None, "nearest", True), "align_corners has no meaning for mode 'nearest'"),
        ("Upsample", (2, None, "linear", None, True), "recompute_scale_factor=True needs scale_factor"),
        ("UpsamplingNearest2d", (None, (2, 2, 2)), "scale_factor must have an entry per axis, 2 for"),
        ("ConvTranspose2d", (3, 8, 3, 1, 0, 1), "output_padding must be smaller than stride or dilation"),
        ("MaxUnpool2d", (10**30,), "kernel_size must be at most"),
        ("PixelShuffle", (-1,), "upscale_factor must be at least 1, got -1"),
        ("PixelUnshuffle", ((2, 0),), "downscale_factor must be at least 1"),
        ("Fold", (2, (2, 2, 2), (1, 1)), "the arguments must agree in the number of spatial axes"),
        ("Unfold", ((2,) * 4,), "the number of spatial axes must be 1 to 3, got 4"),
    ],
)
def test_bad_arguments(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(gu.nn, name)(*arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("MaxPool2d", ("a",)),
        ("MaxPool2d", (2.0,)),
        ("PixelShuffle", ("2",)),
        ("Upsample", (None, "2")),
        ("MaxPool2d", ({3: 9},)),
        ("PixelShuffle", ({3, 2},)),
        ("Fold", (2, None)),
    ],
)
def test_arguments_of_the_wrong_type(name: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match=r"must be (an integer|a number), got"):
        getattr(gu.nn, name)(*arguments)


def test_a_switch_of_numpy_for_the_bias() -> None:
    assert gu.nn.ConvTranspose1d(1, 2, 3, bias=np.False_).bias is None
    assert gu.nn.ConvTranspose1d(1, 2, 3, bias=np.True_).bias.shape == (2,)


def test_layers_pass_on_what_functions_offer() -> None:
    x, layer = np.random.default_rng(0).random((1, 4, 9, 9), np.float32), gu.nn.ConvTranspose2d(4, 2, 3, rng=0)
    expected = gu.conv_transpose2d(x, layer.weight, layer.bias, deterministic=True)
    np.testing.assert_array_equal(layer(x, deterministic=True, precision="tf32"), expected)
    smaller = gu.nn.Upsample(3, mode="bilinear", antialias=True, data_format="channels_last")
    expected = gu.interpolate(x, 3, mode="bilinear", antialias=True, data_format="channels_last")
    np.testing.assert_array_equal(smaller(x), expected)
    with pytest.raises(ValueError, match="indices must lie between"):
        gu.nn.MaxUnpool2d(2)(x, np.full(x.shape, -1), validate=True)


def test_layers_without_parameters_are_values() -> None:
    assert gu.nn.MaxPool2d(2) == gu.nn.MaxPool2d(2, stride=2) != gu.nn.MaxPool1d(2)
    assert len({gu.nn.PixelShuffle(2), gu.nn.PixelShuffle(np.int64(2)), gu.nn.Unfold(3)}) == 2
    assert len({gu.nn.Upsample(size=[2, 3]), gu.nn.Upsample(size=(2, 3)), gu.nn.Upsample(size=np.array([2, 3]))}) == 1
    with pytest.raises(AttributeError):
        gu.nn.Unfold(3).kernel_size = 2


@pytest.mark.parametrize(
    "layer",
    [
        gu.nn.Upsample(size=[2, 3], mode="bilinear", align_corners=True),
        gu.nn.Upsample(scale_factor=(0.25, 2.5), recompute_scale_factor=True),
        gu.nn.UpsamplingNearest2d(4),
        gu.nn.UpsamplingBilinear2d(scale_factor=1.5),
        gu.nn.MaxPool2d([2, 3], padding=1, return_indices=True),
        gu.nn.MaxUnpool3d(2, 1),
        gu.nn.PixelShuffle(2, ndim=3),
        gu.nn.PixelUnshuffle((2, 3)),
        gu.nn.Fold(4, 2, ndim=1),
        gu.nn.Unfold((2, 2), stride=2, ndim=2),
    ],
    ids=repr,
)
def test_the_text_builds_the_layer(layer: Any) -> None:
    assert eval(repr(layer), vars(gu.nn)) == layer


def test_the_names_of_the_layers() -> None:
    public = [name for name in dir(gu.nn) if not name.startswith("__")]
    assert sorted(public) == gu.nn.__all__
    assert all(getattr(gu.nn, name).__doc__ for name in public)


def test_layers_of_other_ranks() -> None:
    x = noise((1, 8, 2, 2, 2))
    np.testing.assert_array_equal(gu.nn.PixelShuffle(2, ndim=3)(x), gu.pixel_shuffle(x, (2, 2, 2)))
    columns = gu.nn.Unfold(2, ndim=1)(x[0, :, 0])
    np.testing.assert_array_equal(columns, gu.unfold(x[0, :, 0], (2,)))
    np.testing.assert_array_equal(gu.nn.Fold(2, 2, ndim=1)(columns), x[0, :, 0])
