"""torch's functions and modules over our kernels: equality, gradients, the compiler, determinism."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

import gpu_upsample as gu  # noqa: E402
from gpu_upsample.compat import torch as gut  # noqa: E402

functional = torch.nn.functional


def tensor(*shape: int, dtype: Any = torch.float64, seed: int = 0) -> Any:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


# ---- functions: name, inputs, arguments ---------------------------------------------------------------------
CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "nearest": ("interpolate", (tensor(2, 3, 5),), {"size": 9}),
    "bilinear": ("interpolate", (tensor(2, 3, 4, 5),), {"scale_factor": 2.0, "mode": "bilinear"}),
    "bicubic": ("interpolate", (tensor(1, 2, 4, 5),), {"size": (7, 3), "mode": "bicubic", "align_corners": True}),
    "antialias": ("interpolate", (tensor(1, 2, 9, 8),), {"size": (4, 5), "mode": "bilinear", "antialias": True}),
    "trilinear": ("interpolate", (tensor(1, 2, 3, 4, 5),), {"scale_factor": (2.0, 1.5, 1.0), "mode": "trilinear"}),
    "area": ("interpolate", (tensor(1, 2, 7, 6),), {"size": 3, "mode": "area"}),
    "conv1": ("conv_transpose1d", (tensor(2, 4, 5), tensor(4, 3, 3), tensor(3)), {"stride": 2, "padding": 1}),
    "conv2": (
        "conv_transpose2d",
        (tensor(2, 4, 3, 5), tensor(4, 2, 3, 2), tensor(4)),
        {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2), "groups": 2, "dilation": 2},
    ),
    "conv3": ("conv_transpose3d", (tensor(4, 3, 2, 3), tensor(4, 2, 2, 2, 2)), {"stride": 2}),
    "unbatched": ("conv_transpose2d", (tensor(3, 4, 4), tensor(3, 1, 4, 4)), {"stride": 2, "padding": 1}),
    "pool1": ("max_pool1d", (tensor(2, 3, 9),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "pool2": ("max_pool2d", (tensor(2, 3, 8, 9),), {"kernel_size": (3, 2), "ceil_mode": True}),
    "pool3": ("max_pool3d", (tensor(3, 5, 6, 4),), {"kernel_size": 2, "stride": 1, "dilation": 2}),
    "shuffle": ("pixel_shuffle", (tensor(2, 3, 8, 2, 3),), {"upscale_factor": 2}),
    "unshuffle": ("pixel_unshuffle", (tensor(2, 4, 6),), {"downscale_factor": 2}),
    "unfold": ("unfold", (tensor(2, 3, 5, 6),), {"kernel_size": (2, 3), "padding": 1, "stride": 2}),
    "fold": ("fold", (tensor(2, 12, 12),), {"output_size": (4, 5), "kernel_size": 2}),
}

# What torch does not have.
RESIZINGS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "any axes": ("resize", (tensor(3, 4, 5),), {"size": (7, 2), "axes": (2, 0), "method": ("cubic", "linear")}),
    "antialias": ("resize", (tensor(9, 8),), {"scale": 0.5, "method": "lanczos3", "antialias": True}),
    "line": ("resize", (tensor(5),), {"size": 9, "coordinates": "align_corners", "border": "extrapolate"}),
    "box": (
        "resize",
        (tensor(3, 4),),
        {
            "size": (5, 3),
            "box": [(-1, 4), (0.5, 3)],
            "border": ("constant", "wrap"),
            "fill_value": 2.5,
            "cubic_coeff": -0.75,
        },
    ),
    "select": ("resize", (tensor(2, 3, 4),), {"scale": (1.5, 2), "method": "nearest", "nearest_rounding": "ceil"}),
    "complex": ("resize", (torch.complex(tensor(4), tensor(4, seed=1)),), {"size": 7, "method": "area"}),
}


def of(library: Any, name: str) -> Any:
    """Return a function of torch or ours, by name."""
    return getattr(library, name) if hasattr(library, name) else getattr(torch, name)


def leaves(inputs: Any) -> Any:
    return tuple(x.detach().clone().requires_grad_() for x in inputs)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialiased_to_one_column(mode: Any) -> None:
    x = torch.randn(2, 3, 9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(
        x.contiguous(memory_format=torch.channels_last), size=(6, 1), mode=mode, antialias=True
    )
    torch.testing.assert_close(gut.interpolate(x, (6, 1), mode=mode, antialias=True), expected)


@pytest.mark.parametrize(("name", "inputs", "options"), CALLS.values(), ids=CALLS)
def test_results_and_gradients_are_those_of_torch(name: str, inputs: Any, options: dict[str, Any]) -> None:
    ours, theirs = leaves(inputs), leaves(inputs)
    actual, expected = getattr(gut, name)(*ours, **options), of(functional, name)(*theirs, **options)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    assert (actual - expected).abs().max() <= 1e-13 * max(1, expected.abs().max())
    grad = tensor(*expected.shape, seed=1)
    actual.backward(grad)
    expected.backward(grad)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-13 * max(1, other.grad.abs().max())


EVERY = {**CALLS, **{f"resize {name}": call for name, call in RESIZINGS.items()}}


@pytest.mark.parametrize(("name", "inputs", "options"), EVERY.values(), ids=EVERY)
def test_gradcheck(name: str, inputs: Any, options: dict[str, Any]) -> None:
    def function(*tensors: Any) -> Any:
        return getattr(gut, name)(*tensors, **options)

    assert torch.autograd.gradcheck(function, leaves(inputs), fast_mode=True)
    assert torch.autograd.gradgradcheck(function, leaves(inputs), fast_mode=True)


@pytest.mark.parametrize(("name", "inputs", "options"), EVERY.values(), ids=EVERY)
def test_the_compiler_knows_shapes_and_gradients(name: str, inputs: Any, options: dict[str, Any]) -> None:
    def loss(*tensors: Any) -> Any:
        return getattr(gut, name)(*tensors, **options).abs().square().sum()

    ours, theirs = leaves(inputs), leaves(inputs)
    torch.compile(loss, backend="aot_eager", fullgraph=True)(*ours).backward()
    loss(*theirs).backward()
    for compiled, eager in zip(ours, theirs, strict=True):
        assert torch.equal(compiled.grad, eager.grad)
    torch._dynamo.reset()


@pytest.mark.parametrize(("name", "inputs", "options"), RESIZINGS.values(), ids=RESIZINGS)
def test_resizing_any_axes(name: str, inputs: Any, options: dict[str, Any]) -> None:
    (x,) = leaves(inputs)
    y = gut.resize(x, **options)
    assert torch.equal(y, gu.resize(x.detach(), **options))
    grad = torch.ones_like(y)
    y.backward(grad)
    assert torch.equal(x.grad, gu.resize_backward(grad, tuple(x.shape), **options))


def test_resizing_is_the_interpolation_of_torch() -> None:
    x, z = leaves((tensor(2, 3, 4, 5), tensor(2, 3, 4, 5)))
    mine = gut.resize(x, (7, 3), axes=(-2, -1), method="cubic", cubic_coeff=-0.75)
    theirs = functional.interpolate(z, (7, 3), mode="bicubic")
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-13)
    mine.square().sum().backward()
    theirs.square().sum().backward()
    torch.testing.assert_close(x.grad, z.grad, rtol=0, atol=1e-12)


def test_resizing_keeps_every_dtype() -> None:
    x = torch.tensor([0, 2**62 + 1, 5])
    assert gut.resize(x, 6, method="nearest").tolist() == [0, 0, 2**62 + 1, 2**62 + 1, 5, 5]
    wide = gut.resize(x, 3, method="nearest", box=[(-1, 2)], border="constant", fill_value=2**62 + 1)
    assert wide.tolist() == [2**62 + 1, 0, 2**62 + 1]


def test_unpooling() -> None:
    x = tensor(2, 3, 8, 9)
    values, indices = functional.max_pool2d(x, 2, return_indices=True)
    actual = gut.max_unpool2d(values, indices, 2, output_size=(8, 9))
    assert torch.equal(actual, functional.max_unpool2d(values, indices, 2, output_size=(8, 9)))
    assert torch.equal(actual, gut.max_unpool2d(values, indices, 2, output_size=x.shape))
    for size in (9, (9,), [9, 9]):
        square = gut.max_unpool2d(values, indices, 2, output_size=size)
        assert torch.equal(square, gu.max_unpool2d(values, indices, 2, output_size=size))
        assert torch.equal(gut.MaxUnpool2d(2)(values, indices, size), square)
        assert square.shape[2:] == (9, 9)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2)], ids=["distinct", "windows that share their maxima"])
def test_gradients_of_unpooling(kernel: int, stride: int) -> None:
    values, indices = functional.max_pool2d(tensor(2, 3, 8, 9), kernel, stride, return_indices=True)

    def unpool(v: Any) -> Any:
        return gut.max_unpool2d(v, indices, kernel, stride, output_size=(8, 9))

    assert torch.autograd.gradcheck(unpool, leaves((values,)))
    assert torch.autograd.gradgradcheck(unpool, leaves((values,)))


def test_gradients_of_a_complex_convolution() -> None:
    inputs = (tensor(2, 4, 3, dtype=torch.complex128), tensor(4, 1, 3, dtype=torch.complex128))
    ours, theirs = leaves(inputs), leaves(inputs)
    actual = gut.conv_transpose1d(*ours, stride=2, groups=2)
    expected = functional.conv_transpose1d(*theirs, stride=2, groups=2)
    grad = tensor(*expected.shape, dtype=torch.complex128, seed=1)
    actual.backward(grad)
    expected.backward(grad)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad - other.grad).abs().max() <= 1e-13 * other.grad.abs().max()
    assert torch.autograd.gradgradcheck(lambda x, w: gut.conv_transpose1d(x, w, stride=2, groups=2), leaves(inputs))


def test_only_what_is_needed_gets_a_gradient() -> None:
    x, weight, bias = (tensor(2, 4, 5), tensor(4, 3, 3), tensor(3))
    weight.requires_grad_()
    gut.conv_transpose1d(x, weight, bias).sum().backward()
    assert x.grad is None
    assert bias.grad is None
    assert weight.grad.shape == weight.shape


# ---- layouts and dtypes -------------------------------------------------------------------------------------
FORMATS = {
    "4d": (tensor(2, 6, 5, 4), torch.channels_last, {"mode": "bilinear"}),
    "5d": (tensor(2, 6, 3, 5, 4), torch.channels_last_3d, {"mode": "trilinear"}),
}


@pytest.mark.parametrize(("x", "form", "options"), FORMATS.values(), ids=FORMATS)
def test_the_memory_format_stays(x: Any, form: Any, options: dict[str, Any]) -> None:
    last = x.to(memory_format=form).requires_grad_()
    result = gut.interpolate(last, scale_factor=2, **options)
    assert result.is_contiguous(memory_format=form)
    assert torch.equal(result, gut.interpolate(x, scale_factor=2, **options))
    (gradient,) = torch.autograd.grad(result, last, torch.ones_like(result))
    assert gradient.is_contiguous(memory_format=form)
    compiled = torch.compile(lambda t: gut.interpolate(t, scale_factor=2, **options), backend="aot_eager")(last)
    assert compiled.stride() == result.stride()
    torch._dynamo.reset()


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_bytes(form: Any, mode: str, antialias: bool) -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (2, 3, 37, 29), dtype=torch.uint8, generator=random).contiguous(memory_format=form)
    how = {"size": (16, 40), "mode": mode, "antialias": antialias}
    assert torch.equal(gut.interpolate(x, **how), functional.interpolate(x, **how))


def test_channels_last_convolution() -> None:
    x, weight = tensor(2, 4, 5, 6).to(memory_format=torch.channels_last), tensor(4, 3, 3, 3)
    result = gut.conv_transpose2d(x, weight, stride=2)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert (result - functional.conv_transpose2d(x, weight, stride=2)).abs().max() < 1e-13


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_16384_summands(dtype: Any) -> None:
    """Sums of half types in torch lost most of them (pytorch#104157)."""
    x = torch.zeros(1, 1, 1, 1, dtype=dtype, requires_grad=True)
    gut.interpolate(x, size=(128, 128), mode="bilinear").backward(torch.ones(1, 1, 128, 128, dtype=dtype))
    assert x.grad.item() == 16384


@pytest.mark.parametrize("name", ["nearest", "bicubic", "conv2", "pool2", "shuffle", "fold", "unfold"])
def test_the_registration_is_complete(name: str) -> None:
    from gpu_upsample.compat.torch import operators

    function, inputs, options = CALLS[name]
    seen = []

    def watch(operator: Any) -> Any:
        return lambda *arguments: (seen.append((operator, arguments)), operator(*arguments))[1]

    with pytest.MonkeyPatch.context() as patch:
        for kind in ("interpolate", "conv_transpose", "max_pool", "pixel_shuffle", "fold", "unfold"):
            patch.setattr(operators, kind, watch(getattr(operators, kind)))
        getattr(gut, function)(*inputs, **options)
    ((operator, arguments),) = seen
    given = tuple(a.requires_grad_() if isinstance(a, torch.Tensor) else a for a in arguments)
    torch.library.opcheck(operator, given)


# ---- modules ------------------------------------------------------------------------------------------------
MODULES: dict[str, tuple[tuple[Any, ...], dict[str, Any], Any]] = {
    "Upsample": ((), {"scale_factor": 2, "mode": "bicubic", "align_corners": True}, tensor(1, 2, 4, 5)),
    "UpsamplingNearest2d": ((), {"scale_factor": 3}, tensor(1, 2, 4, 5)),
    "UpsamplingBilinear2d": ((), {"size": (7, 9)}, tensor(1, 2, 4, 5)),
    "MaxPool1d": ((3,), {"stride": 2}, tensor(1, 2, 9)),
    "MaxPool2d": ((2,), {"ceil_mode": True}, tensor(1, 2, 5, 5)),
    "MaxPool3d": ((2,), {"padding": 1}, tensor(1, 2, 4, 4, 4)),
    "ConvTranspose1d": ((4, 3, 3), {"stride": 2}, tensor(2, 4, 5)),
    "ConvTranspose2d": ((4, 6, 3), {"stride": 2, "padding": 1, "groups": 2, "bias": False}, tensor(2, 4, 5, 5)),
    "ConvTranspose3d": ((4, 2, 2), {"stride": 2}, tensor(2, 4, 2, 2, 2)),
    "PixelShuffle": ((2,), {}, tensor(2, 8, 3, 3)),
    "PixelUnshuffle": ((2,), {}, tensor(2, 2, 4, 4)),
    "Fold": ((4, 2), {}, tensor(2, 8, 9)),
    "Unfold": ((2,), {"stride": 2}, tensor(2, 3, 4, 4)),
}


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_drop_ins(name: str) -> None:
    arguments, options, x = MODULES[name]
    ours, theirs = getattr(gut, name)(*arguments, **options), getattr(torch.nn, name)(*arguments, **options)
    assert repr(ours) == repr(theirs)
    ours.double().load_state_dict(theirs.double().state_dict())
    assert (ours(x) - theirs(x)).abs().max() < 1e-13


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unpooling_modules(rank: int) -> None:
    x = tensor(2, 3, *[4] * rank)
    pool, unpool = (getattr(gut, f"Max{kind}{rank}d") for kind in ("Pool", "Unpool"))
    values, indices = pool(2, return_indices=True)(x)
    expected = getattr(torch.nn, f"MaxUnpool{rank}d")(2)(values, indices)
    assert torch.equal(unpool(2)(values, indices), expected)
    assert torch.equal(unpool(2)(values, indices, output_size=x.shape), expected)


def test_an_output_size_of_a_convolution() -> None:
    layer = gut.ConvTranspose2d(2, 2, 3, stride=2)
    assert layer(torch.zeros(1, 2, 4, 4), output_size=(10, 9)).shape == (1, 2, 10, 9)


def test_an_unbatched_volume_has_no_memory_format() -> None:
    """Its four axes may lie in memory like a batch of images with the channels last."""
    x = tensor(4, 4, 4, 4).contiguous(memory_format=torch.channels_last)
    weight = tensor(4, 2, 2, 2, 2)
    assert (gut.conv_transpose3d(x, weight) - functional.conv_transpose3d(x, weight)).abs().max() < 1e-13
    compiled = torch.compile(gut.conv_transpose3d, backend="aot_eager")(x, weight)
    assert torch.equal(compiled, gut.conv_transpose3d(x, weight))
    torch._dynamo.reset()


@pytest.mark.parametrize("channels", [1, 8])
def test_an_empty_batch_has_gradients_of_zero(channels: int) -> None:
    x, weight = leaves((tensor(0, channels, 4, 4), tensor(channels, 8, 3, 3)))
    gut.conv_transpose2d(x, weight).sum().backward()
    assert x.grad.shape == x.shape
    assert torch.equal(weight.grad, torch.zeros_like(weight))


def test_autocast() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), gut.ConvTranspose2d(4, 1, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = model(torch.randn(1, 1, 5, 5))
    assert result.dtype == torch.bfloat16
    result.sum().backward()
    assert model[1].weight.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64, torch.complex128, torch.float16])
def test_autocast_leaves_what_torch_leaves(dtype: torch.dtype) -> None:
    x, weight = torch.full((1, 1, 2), 1.001, dtype=dtype), torch.ones(1, 1, 1, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = functional.conv_transpose1d(x, weight)
        result = gut.conv_transpose1d(x, weight)
    assert result.dtype == expected.dtype
    assert torch.equal(result, expected)


def test_numbers_may_be_given_as_torch_takes_them() -> None:
    x = tensor(2, 4, 4)
    assert torch.equal(gut.max_pool2d(x, [2], stride=[]), functional.max_pool2d(x, 2))


# ---- determinism and errors ---------------------------------------------------------------------------------
@pytest.fixture
def deterministic() -> Any:
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def test_training_does_not_depend_on_the_number_of_threads(use_threads: Any, deterministic: Any) -> None:
    x, goal = tensor(4, 8, 16, 16, dtype=torch.float32), tensor(4, 8, 64, 64, dtype=torch.float32, seed=1)
    ends = []
    for threads in ("1", "2", "2"):
        use_threads(threads)
        weight = tensor(8, 8, 4, 4, dtype=torch.float32, seed=2).requires_grad_()
        for _ in range(3):
            y = gut.interpolate(gut.conv_transpose2d(x, weight, stride=2, padding=1), scale_factor=2, mode="bilinear")
            loss = (y - goal).square().mean()
            (gradient,) = torch.autograd.grad(loss, weight)
            weight = (weight - gradient).detach().requires_grad_()
        ends.append(weight)
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[1], ends[2])


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "list": (lambda: gut.interpolate([[1.0]], size=2), TypeError, "input must be a torch tensor, got builtins.list$"),
    "array": (
        lambda: gut.interpolate(np.zeros((1, 1, 4)), size=2),
        TypeError,
        r"got numpy\.ndarray; .* the same name in gpu_upsample, and gpu_upsample\.compat\.torch_uint8\.interpolate",
    ),
    "rank of a window": (
        lambda: gut.max_pool1d(tensor(2, 4, 4), (2, 2)),
        ValueError,
        r"kernel_size must be one number or 1, one per axis; got \(2, 2\)",
    ),
    "rank of a stride": (
        lambda: gut.conv_transpose2d(tensor(2, 4, 4, 4), tensor(2, 2, 2, 2, 2), stride=(1, 1, 1)),
        ValueError,
        "stride must be one number or 2",
    ),
    "float": (lambda: gut.max_pool1d(tensor(2, 4), 2.0), TypeError, "kernel_size must be an integer, got 2.0"),
    "output_size": (
        lambda: gut.max_unpool1d(tensor(1, 2), torch.tensor([[0, 2]]), 2, output_size=(9, 4)),
        ValueError,
        "output_size must",
    ),
    "device": (
        lambda: gut.conv_transpose1d(tensor(1, 4), torch.empty(1, 1, 2, device="meta")),
        TypeError,
        "weight must lie where input does, on cpu; got meta",
    ),
    "mode": (lambda: gut.interpolate(tensor(1, 1, 4), size=2, mode="bicubicc"), ValueError, "mode must be one of"),
    "axes": (lambda: gut.resize(tensor(1, 1, 4, 4), 3), ValueError, "axes must be given"),
    "neither": (lambda: gut.resize(tensor(4)), ValueError, "exactly one of size and scale"),
    "no mode": (lambda: gut.interpolate(tensor(1, 1, 4), 2, mode=None), ValueError, "mode must be one of .*got None"),
    "corners": (
        lambda: gut.interpolate(tensor(1, 1, 4), 2, mode="linear", align_corners="x"),
        TypeError,
        "align_corners must be True or False, got 'x'",
    ),
    "antialias": (
        lambda: gut.interpolate(tensor(1, 1, 4), 2, mode="linear", antialias="no"),
        TypeError,
        "antialias must be True or False, got 'no'",
    ),
    "huge": (
        lambda: gut.interpolate(tensor(1, 1, 4), 10**30),
        ValueError,
        "size must lie within ±2147483647, got 1000",
    ),
    "ceil_mode": (lambda: gut.max_pool1d(tensor(2, 4), 2, ceil_mode="x"), TypeError, "ceil_mode must be True or False"),
    "return_indices": (
        lambda: gut.max_pool1d(tensor(2, 4), 2, return_indices="yes"),
        TypeError,
        "return_indices must be True or False, got 'yes'",
    ),
    "groups": (
        lambda: gut.conv_transpose1d(tensor(1, 4, 4), tensor(4, 1, 2), groups=2**70),
        ValueError,
        "groups must lie within",
    ),
    "number": (lambda: gut.resize(tensor(4), 3, method=3), ValueError, "method must be one of .*got 3"),
    "border": (lambda: gut.resize(tensor(4), 3, border=None), ValueError, "border must be one of .*got None"),
    "rule": (lambda: gut.resize(tensor(4), 3, coordinates=None), ValueError, "coordinates must be one of .*got None"),
    "factor": (
        lambda: gut.pixel_shuffle(tensor(4, 1, 1), 2.0),
        TypeError,
        "upscale_factor must be an integer, got 2.0",
    ),
    "plane": (lambda: gut.pixel_unshuffle(tensor(4, 4), 2), ValueError, r"input must have at least 3 axes.*\(4, 4\)"),
    "method": (lambda: gut.resize(tensor(4), 3, method="bilinear"), ValueError, "did you mean 'linear'"),
    "pairs": (lambda: gut.resize(tensor(4), 3, box=[(0, 1, 2)]), ValueError, "box must be one .start, stop. pair"),
    "indices": (lambda: gut.max_unpool1d(tensor(1, 4), [0], 2), TypeError, "indices must be a torch tensor"),
    "weight": (lambda: gut.conv_transpose1d(tensor(1, 4, 4), tensor(3, 1, 2)), ValueError, "weight must begin with"),
    "kind": (
        lambda: gut.conv_transpose1d(tensor(1, 4, 4), tensor(4, 1, 2, dtype=torch.float32)),
        TypeError,
        "weight must have the dtype of x, float64; got float32",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


# ---- on a device --------------------------------------------------------------------------------------------
@pytest.mark.gpu
@pytest.mark.parametrize(("name", "inputs", "options"), EVERY.values(), ids=EVERY)
def test_cuda_tensors_give_the_bits_of_the_cpu(
    name: str, inputs: Any, options: dict[str, Any], deterministic: Any
) -> None:
    here, there = leaves(inputs), leaves(x.cuda() for x in inputs)
    results = [getattr(gut, name)(*tensors, **options) for tensors in (here, there)]
    grad = tensor(*results[0].shape, seed=1).to(results[0].dtype)
    results[0].backward(grad)
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda.current_stream().wait_stream(torch.cuda.default_stream())
        results[1].backward(grad.cuda())
    torch.cuda.synchronize()
    assert torch.equal(results[1].cpu(), results[0])
    for one, other in zip(here, there, strict=True):
        assert torch.equal(other.grad.cpu(), one.grad)
