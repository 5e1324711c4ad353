"""compat.keras against Keras itself, on its JAX backend."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from gpu_upsample.compat import keras as ours
from gpu_upsample.compat.keras import _extent
from tests.cases import noise
from tests.tolerances import assert_same_bits

pytest.importorskip("jax")


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Keras on JAX; it writes its settings into its home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "jax")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        module = pytest.importorskip("keras")
    assert module.backend.backend() == "jax"
    return module


# ---- UpSampling ---------------------------------------------------------------------------------------------
UPSAMPLINGS: list[tuple[str, tuple[Any, ...], tuple[int, ...]]] = [
    ("UpSampling1D", (3,), (2, 4, 3)),
    ("UpSampling2D", ((2, 3), "channels_first"), (2, 3, 4, 5)),
    ("UpSampling2D", (2, None, "bilinear"), (2, 4, 5, 3)),
    ("UpSampling2D", ((3, 1), "channels_first", "Bicubic"), (2, 2, 4, 5)),
    ("UpSampling2D", (2, "channels_last", "lanczos3"), (1, 7, 4, 2)),
    ("UpSampling2D", ((1, 4), "channels_last", "lanczos5"), (1, 3, 8, 1)),
    ("UpSampling3D", ((2, 1, 3),), (1, 2, 3, 4, 2)),
    ("UpSampling3D", (2, "channels_first"), (1, 2, 3, 4, 2)),
]


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int16"])
@pytest.mark.parametrize(("name", "arguments", "shape"), UPSAMPLINGS)
def test_upsampling(name: str, arguments: Any, shape: tuple[int, ...], dtype: str, keras: Any) -> None:
    x = noise(shape, dtype)
    expected = np.asarray(getattr(keras.layers, name)(*arguments)(x))
    got = getattr(ours, name)(*arguments)(x)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    if len(arguments) < 3:
        np.testing.assert_array_equal(got, expected)
    else:  # integers differ where a sum lies at a tie, give or take its rounding
        off = np.abs(got.astype(float) - expected)
        assert off.max() <= (2e-6 if dtype == "float32" else 1)
        assert (off <= 2e-6).mean() > 0.98


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_upsampling_on_a_device(interpolation: str, device: Any) -> None:
    x, layer = noise((2, 4, 5, 3), "float32"), ours.UpSampling2D(2, interpolation=interpolation)
    assert_same_bits(device(layer, x), layer(x))


# ---- ConvTranspose ------------------------------------------------------------------------------------------
def geometries(number: int) -> Any:
    rng = np.random.default_rng(0)
    for _ in range(number):
        n, kernel, stride = int(rng.integers(1, 9)), int(rng.integers(1, 7)), int(rng.integers(1, 5))
        dilation = int(rng.integers(1, 4)) if stride == 1 else 1
        extra = None if rng.integers(2) else int(rng.integers(stride))
        yield n, kernel, stride, dilation, ("valid", "same")[rng.integers(2)], extra


def test_geometry_in_thousands_of_draws(keras: Any) -> None:
    from keras.src.backend.common import backend_utils

    for n, kernel, stride, dilation, padding, extra in geometries(4000):
        cut, size = _extent(n, kernel, stride, dilation, padding, extra)
        left, right = backend_utils._convert_conv_transpose_padding_args_from_keras_to_jax(
            kernel, stride, dilation, padding, extra
        )
        reach = (kernel - 1) * dilation
        assert (cut, size) == (reach - left, (n - 1) * stride + 1 - reach + left + right)
        shape = backend_utils.compute_conv_transpose_output_shape(
            (1, n, 1),
            (kernel,),
            1,
            (stride,),
            padding,
            None if extra is None else (extra,),
            "channels_last",
            (dilation,),
        )
        assert size == shape[1]


def layers(keras: Any, rank: int, arguments: dict[str, Any], channels: int) -> tuple[Any, Any]:
    """Return a layer and Keras', with the same parameters."""
    name = f"Conv{rank}DTranspose"
    mine, theirs = getattr(ours, name)(**arguments), getattr(keras.layers, name)(**arguments)
    shape = (1, *(3,) * rank, channels) if mine.data_format == "channels_last" else (1, channels, *(3,) * rank)
    theirs.build(shape)
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=weight.shape).astype("float32") for weight in theirs.weights]
    theirs.set_weights(weights)
    mine.set_weights(weights)
    return mine, theirs


def test_conv_transpose(keras: Any) -> None:
    draws = [draw for draw in geometries(18) if draw[-1] is None or draw[-2] == "valid" or draw[0] > 1]
    for number, (n, kernel, stride, dilation, padding, extra) in enumerate(draws):
        rank = 1 + number % 3
        arguments = {
            "filters": 2, "kernel_size": kernel, "strides": stride, "padding": padding, "output_padding": extra,
            "dilation_rate": dilation, "data_format": ("channels_last", "channels_first")[number % 2],
            "use_bias": bool(number % 4),
        }  # fmt: skip
        mine, theirs = layers(keras, rank, arguments, channels=3)
        spatial = (n, 3, 2)[:rank]
        shape = (2, 3, *spatial) if number % 2 else (2, *spatial, 3)
        x = noise(shape, "float32", seed=number)
        if min(theirs.compute_output_shape(shape)) < 1:
            with pytest.raises(ValueError, match="spatial sizes"):
                mine(x)
            continue
        expected, got = np.asarray(theirs(x)), mine(x)
        assert got.shape == expected.shape, arguments
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5, err_msg=str(arguments))


@pytest.mark.parametrize("padding", ["valid", "SAME"])
def test_conv_transpose_on_a_device(padding: str, device: Any) -> None:
    layer = ours.Conv2DTranspose(1, (3, 2), strides=(2, 3), padding=padding, rng=0)
    x = noise((2, 4, 5, 3), "float32")
    assert_same_bits(device(layer, x), layer(x))
    assert layer(x).shape == ((2, 9, 15, 1) if padding == "valid" else (2, 8, 15, 1))


# Keras' own variables have no `copy` in their __array__ yet.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
def test_parameters(keras: Any) -> None:
    layer = ours.Conv2DTranspose(4, 3, activation=lambda y: y * 0 + 7, rng=1)
    assert not layer.built
    assert layer.get_weights() == []
    assert (layer(np.zeros((1, 5, 5, 6), np.float32)) == 7).all()
    assert layer.built
    kernel, bias = layer.get_weights()
    assert (kernel.shape, kernel.dtype, bias.tolist()) == ((3, 3, 4, 6), np.float32, [0.0] * 4)
    bound = np.sqrt(6 / (9 * 10))
    assert 0.9 * bound < np.abs(kernel).max() <= bound
    theirs = keras.layers.Conv2DTranspose(4, 3)
    theirs.build((1, 5, 5, 6))
    layer.set_weights(theirs.get_weights())
    np.testing.assert_array_equal(layer.kernel, theirs.get_weights()[0])
    with pytest.raises(ValueError, match="read-only"):
        layer.kernel[0] = 1


def test_positional_arguments_are_keras(keras: Any) -> None:
    for rank in (1, 2, 3):
        arguments = (2, 3, 2, "same") + (("channels_first", 1) if rank == 3 else (1, "channels_first"))
        mine = getattr(ours, f"Conv{rank}DTranspose")(*arguments)
        theirs = getattr(keras.layers, f"Conv{rank}DTranspose")(*arguments)
        for name in ("filters", "kernel_size", "strides", "padding", "output_padding", "data_format", "use_bias"):
            assert getattr(mine, name) == getattr(theirs, name)


def test_layers_have_names() -> None:
    for rank in (1, 2, 3):
        assert getattr(ours, f"UpSampling{rank}D")(2, name="up").name == "up"
        assert getattr(ours, f"Conv{rank}DTranspose")(2, 3, name="deconv").name == "deconv"
        assert getattr(ours, f"Conv{rank}DTranspose")(2, 3).name is None


@pytest.mark.parametrize("name", [None, "linear", "relu", "sigmoid", "tanh"])
def test_activations_by_name(name: str | None, keras: Any) -> None:
    kernel = np.ones((1, 1, 1, 1), np.float32)
    layer = ours.Conv2DTranspose(1, 1, activation=name, use_bias=False)
    layer.kernel = kernel
    y = np.float32([-np.inf, -200, -3, -0.5, -0.0, 0, 1e-9, 0.5, 3, 200, np.inf, np.nan])
    x = y.reshape(1, 1, -1, 1)
    expected = np.asarray(keras.activations.get(name)(x))
    got = pickle.loads(pickle.dumps(layer))(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-30)
    torch = pytest.importorskip("torch")
    result = layer(torch.from_numpy(x))
    assert isinstance(result, torch.Tensor)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6, atol=1e-30)


def test_the_layers_are_where_those_of_keras_are(keras: Any) -> None:
    for name in set(ours.__all__) - {"layers"}:
        assert getattr(ours.layers, name) is getattr(ours, name)
        assert hasattr(keras.layers, name)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ours.UpSampling1D(0), ValueError, "size must be at least 1"),
        (lambda: ours.UpSampling1D((2,)), TypeError, "size must be an integer"),
        (lambda: ours.UpSampling2D((1, 2, 3)), ValueError, "size must be one value or 2"),
        (lambda: ours.UpSampling2D(2, "NHWC"), ValueError, "data_format must be one of"),
        (lambda: ours.UpSampling2D(2, interpolation="area"), ValueError, "interpolation must be one of"),
        (lambda: ours.UpSampling2D(2)(np.zeros((4, 4, 1))), ValueError, "x must have 4 axes"),
        (lambda: ours.UpSampling2D(2, None, "bilinear")(np.zeros((1, 0, 4, 1))), ValueError, "must not be empty"),
        (lambda: ours.Conv2DTranspose(0, 3), ValueError, "filters must be positive"),
        (lambda: ours.Conv2DTranspose(1, 0), ValueError, "kernel_size must be at least 1"),
        (lambda: ours.Conv2DTranspose(1, 3, padding="causal"), ValueError, "padding must be one of 'valid', 'same'"),
        (lambda: ours.Conv2DTranspose(1, 3, 2, output_padding=2), ValueError, "output_padding must be smaller"),
        (lambda: ours.Conv2DTranspose(1, 3, 2, dilation_rate=2), ValueError, "must not both be above 1"),
        (
            lambda: ours.Conv2DTranspose(1, 3, activation="selu"),
            ValueError,
            "activation must be one of 'linear', 'relu', 'sigmoid', 'tanh', a function.*got 'selu'",
        ),
        (lambda: ours.Conv2DTranspose(1, 3, activation=3), TypeError, "activation must be .*got 3"),
        (
            lambda: ours.Conv3DTranspose(1, 3, kernel_initializer="zeros"),
            TypeError,
            "^Conv3DTranspose takes no argument 'kernel_initializer'",
        ),
        (lambda: ours.UpSampling2D(2, trainable=True), TypeError, "^UpSampling2D.*'trainable'"),
        (lambda: ours.UpSampling3D(2, trainable=True), TypeError, "^UpSampling3D.*'trainable'"),
        (lambda: ours.Conv2DTranspose(1, 3).set_weights([1]), ValueError, "kernel and bias"),
        (lambda: ours.Conv2DTranspose(1, 1, use_bias=False).set_weights([np.ones((1, 1))]), ValueError, "kernel must"),
        (lambda: setattr(ours.Conv1DTranspose(1, 1, use_bias=False), "bias", [1]), ValueError, "bias must not be set"),
        (lambda: ours.Conv2DTranspose(1, 3)(np.zeros((4, 4, 1))), ValueError, "x must have 4 axes"),
    ],
)
def test_bad_input(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
