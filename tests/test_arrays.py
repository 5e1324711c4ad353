"""Arrays of every layout and library, `out`, the choice of a backend, threads and processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest

import gpu_upsample as gu
from gpu_upsample.arrays import kind_of
from gpu_upsample.cpu import threads
from gpu_upsample.cpu.processors import usual_threads
from tests.cases import dtype_of, noise
from tests.tolerances import assert_same_bits

CALLS: dict[str, dict[str, Any]] = {
    "linear": {"size": (7, 9), "mode": "bilinear"},
    "nearest": {"size": (7, 9)},
    "columns": {"size": (5, 9), "mode": "bilinear"},
    "copy": {"size": (5, 6), "mode": "bilinear"},
}
each_call = pytest.mark.parametrize("arguments", CALLS.values(), ids=CALLS)


def unaligned(x: Any) -> Any:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def read_only(x: Any) -> Any:
    view = x.copy()
    view.flags.writeable = False
    return view


# ---- inputs ----------------------------------------------------------------------------------------------------
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "contiguous": lambda x: x,
    "every other column": lambda x: x[..., ::2],
    "every other row": lambda x: x[:, :, ::2],
    "negative columns": lambda x: x[..., ::-1],
    "negative batch": lambda x: x[::-1],
    "all negative": lambda x: x[::-1, ::-1, ::-1, ::-1],
    "transposed": lambda x: x.transpose(0, 1, 3, 2),
    "channels_last in memory": lambda x: np.ascontiguousarray(np.moveaxis(x, 1, -1)).transpose(0, 3, 1, 2),
    "broadcast batch": lambda x: np.broadcast_to(x[:1], x.shape),
    "broadcast columns": lambda x: np.broadcast_to(x[..., :1], x.shape),
    "Fortran order": np.asfortranarray,
    "part of a larger array": lambda x: np.pad(x, 3)[3:-3, 3:-3, 3:-3, 3:-3],
    "read-only": read_only,
    "unaligned": unaligned,
    "byte order": lambda x: x.astype(x.dtype.newbyteorder("S")),
    "subclass": lambda x: x.view(np.recarray),
}


@each_call
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout(backend: Any, layout: str, arguments: dict[str, Any]) -> None:
    x = LAYOUTS[layout](noise((2, 3, 5, 6), "float32"))
    before = x.copy()
    plain = np.array(x, np.float32, order="C", subok=False)
    actual = backend.interpolate(x, **arguments)
    assert type(actual) is np.ndarray
    assert actual.flags.c_contiguous
    assert actual.flags.writeable
    assert_same_bits(actual, backend.interpolate(plain, **arguments))
    assert np.array_equal(x, before)
    assert not np.shares_memory(actual, x)


@pytest.mark.parametrize("dtype", ["int16", "float16", "complex64", "float64"])
def test_byte_order_of_a_dtype(backend: Any, dtype: str) -> None:
    x = noise((5, 6), dtype)
    for method in ("linear", "nearest"):
        actual = backend.resize(x.astype(x.dtype.newbyteorder("S")), (7, 9), method=method)
        assert_same_bits(actual, backend.resize(x, (7, 9), method=method))


@each_call
@pytest.mark.parametrize("shape", [(0, 3, 5, 6), (2, 0, 5, 6), (0, 0, 5, 6)], ids=str)
def test_nothing_to_do(backend: Any, shape: tuple[int, ...], arguments: dict[str, Any]) -> None:
    actual = backend.interpolate(np.zeros(shape, np.int16), **arguments)
    assert (actual.shape, actual.dtype) == ((*shape[:2], *arguments["size"]), np.int16)
    out = np.zeros(actual.shape, np.int16)
    assert backend.interpolate(np.zeros(shape, np.int16), out=out, **arguments) is out


def test_resize_of_an_array_without_channels(backend: Any) -> None:
    assert backend.resize(np.zeros((4, 0, 5)), (8, 9), axes=(0, 2)).shape == (8, 0, 9)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_matrices_are_arrays() -> None:
    x, weight = noise((3, 4), "float32"), np.ones((3, 2, 2), np.float32)
    expected, matrix = gu.conv_transpose1d(x, weight), np.matrix(x)
    assert_same_bits(gu.conv_transpose1d(matrix, weight), expected)
    out = np.matrix(np.zeros((2, 5), np.float32))
    assert gu.conv_transpose1d(x, weight, out=out) is out
    assert_same_bits(np.asarray(out), expected)


def test_masked_arrays_are_refused() -> None:
    x = np.arange(4.0)
    gu.resize(x, 8)  # a call that has gone well must not let one through that is alike but for its mask
    for masked, out in ((np.ma.masked_array(x), None), (x, np.ma.masked_array(np.zeros(8)))):
        with pytest.raises(TypeError, match="must not be a masked array"):
            gu.resize(masked, 8, out=out)


def test_sizes_of_every_kind(backend: Any) -> None:
    """Lists, tuples, arrays and NumPy scalars say the same."""
    x = noise((1, 1, 4, 4))
    expected = backend.interpolate(x, (6, 8), mode="bilinear")
    for size in ([6, 8], np.array([6, 8]), (np.int64(6), np.uint8(8))):
        assert_same_bits(backend.interpolate(x, size, mode="bilinear"), expected)
    for factor in ([1.5, 2], np.array([1.5, 2.0]), (np.float32(1.5), 2)):
        assert_same_bits(backend.interpolate(x, scale_factor=factor, mode="bilinear"), expected)


# ---- out -------------------------------------------------------------------------------------------------------
PLACES: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "contiguous": lambda shape: np.full(shape, 9, np.float32),
    "every other column": lambda shape: np.full((*shape[:-1], 2 * shape[-1]), 9, np.float32)[..., ::2],
    "every other of an odd number": lambda shape: np.full((*shape[:-1], 2 * shape[-1] - 1), 9, np.float32)[..., ::2],
    "negative": lambda shape: np.full(shape, 9, np.float32)[..., ::-1, :],
    "Fortran order": lambda shape: np.full(shape, 9, np.float32, order="F"),
    "part of a larger array": lambda shape: np.full([n + 2 for n in shape], 9, np.float32)[1:-1, 1:-1, 1:-1, 1:-1],
    "unaligned": lambda shape: unaligned(np.full(shape, 9, np.float32)),
    "byte order": lambda shape: np.full(shape, 9, np.dtype(np.float32).newbyteorder("S")),
}


@each_call
@pytest.mark.parametrize("place", PLACES)
def test_out(backend: Any, place: str, arguments: dict[str, Any]) -> None:
    for layout in ("contiguous", "negative columns", "byte order"):
        x = LAYOUTS[layout](noise((2, 3, 5, 6), "float32"))
        expected = backend.interpolate(x, **arguments)
        out = PLACES[place](expected.shape)
        assert backend.interpolate(x, out=out, **arguments) is out
        assert np.array_equal(out, expected)


def test_out_of_a_part_leaves_the_rest(backend: Any) -> None:
    canvas = np.full((6, 9), 5.0)
    backend.resize(np.zeros((2, 2)), (3, 4), out=canvas[2:5, 1:5])
    inside = np.zeros((6, 9), bool)
    inside[2:5, 1:5] = True
    assert (canvas[inside] == 0).all()
    assert (canvas[~inside] == 5).all()


# ---- torch -----------------------------------------------------------------------------------------------------
def as_numpy(tensor: Any) -> Any:
    """Return a tensor as a NumPy array, bfloat16 too."""
    torch = pytest.importorskip("torch")
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(dtype_of("bfloat16"))
    return tensor.numpy()


@pytest.mark.parametrize("name", ["bool", "uint8", "int64", "float16", "bfloat16", "float32", "complex64"])
def test_torch_tensors(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(12).reshape(3, 4).to(getattr(torch, name))
    for method in ("nearest", "linear"):
        actual = gu.resize(x, (5, 9), method=method)
        assert isinstance(actual, torch.Tensor)
        assert (actual.dtype, actual.device) == (x.dtype, x.device)
        assert_same_bits(as_numpy(actual), gu.resize(as_numpy(x), (5, 9), method=method))
        out = torch.empty_like(actual)
        place = out.data_ptr()
        assert gu.resize(x, (5, 9), method=method, out=out) is out
        assert out.data_ptr() == place
        assert torch.equal(out, actual)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_torch_tensors_are_not_copied(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = torch.zeros((4, 6), dtype=getattr(torch, name))
    kind = kind_of("x", x)
    taken = kind.take(x)
    assert taken.ctypes.data == x.data_ptr()
    result = np.ones((2, 3), taken.dtype)
    assert kind.give_back(result, name).data_ptr() == result.ctypes.data


def test_strided_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(24.0).reshape(4, 6)
    assert torch.equal(gu.resize(x.T, (5, 5)), gu.resize(x.T.contiguous(), (5, 5)))
    out = torch.zeros((5, 10))[:, ::2]
    assert gu.resize(x, (5, 5), out=out) is out
    assert torch.equal(out, gu.resize(x, (5, 5)))


# ---- DLPack ----------------------------------------------------------------------------------------------------
class Exchanged:
    """An array of no known library, which only exports itself."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape = array, array.shape

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


class Standard(Exchanged):
    """An array of a library that follows the array API standard: this class is its namespace, too."""

    def __array_namespace__(self) -> Any:
        return Standard

    @staticmethod
    def from_dlpack(array: Any) -> Standard:
        return Standard(np.from_dlpack(array))


def test_dlpack_of_an_unknown_library_gives_numpy() -> None:
    x = noise((4, 5))
    actual = gu.resize(Exchanged(x), (6, 6))
    assert_same_bits(actual, gu.resize(x, (6, 6)))


def test_dlpack_of_the_array_standard_gives_its_own_kind() -> None:
    x = noise((4, 5))
    actual = gu.resize(Standard(x), (6, 6))
    assert type(actual) is Standard
    assert_same_bits(actual.array, gu.resize(x, (6, 6)))


def test_dlpack_out() -> None:
    x, out = noise((4, 5)), Standard(np.zeros((6, 6)))
    assert gu.resize(Standard(x), (6, 6), out=out) is out
    assert_same_bits(out.array, gu.resize(x, (6, 6)))


# ---- which backend ---------------------------------------------------------------------------------------------
without_cuda = pytest.mark.skipif("cuda" in gu.available_backends(), reason="needs a machine without CUDA")


@pytest.fixture
def environment(set_variable: Callable[[str, str], None]) -> Callable[[str], None]:
    return partial(set_variable, "GPU_UPSAMPLE_BACKEND")


@without_cuda
def test_cuda_is_missing() -> None:
    """One error, which says what is missing; nothing is written."""
    out = np.full((6, 6), 7.0)
    with pytest.raises(gu.BackendUnavailableError, match=r"'cuda'.*(CuPy|numba-cuda|driver|device)"):
        gu.resize(np.zeros((3, 3)), (6, 6), backend="cuda", out=out)
    assert (out == 7).all()
    assert gu.available_backends() == ("cpu",)


@without_cuda
def test_the_call_overrules_the_block_overrules_the_environment(environment: Callable[[str], None]) -> None:
    x = np.zeros((3, 3))
    run = lambda **backend: gu.resize(x, (6, 6), **backend)  # noqa: E731
    run()
    environment("cuda")
    for reaches_cuda in (lambda: run(), lambda: run(backend="cuda")):
        with pytest.raises(gu.BackendUnavailableError):
            reaches_cuda()
    run(backend="cpu")
    run(backend="auto")
    with gu.use_backend("auto"):
        run()
    with gu.use_backend("cpu"):
        run()
        with gu.use_backend("cuda"):
            with pytest.raises(gu.BackendUnavailableError):
                run()
            run(backend="cpu")
        run()
    with pytest.raises(gu.BackendUnavailableError):
        run()


def test_a_block_ends_with_an_error(environment: Callable[[str], None]) -> None:
    environment("cpu")
    with pytest.raises(KeyError), gu.use_backend("cuda"):
        raise KeyError
    gu.resize(np.zeros(3), 6)


def test_show_info(capsys: pytest.CaptureFixture[str]) -> None:
    gu.show_info()
    printed = capsys.readouterr().out
    for word in ("gpu_upsample", "cpu", "cuda", "numba", "threads"):
        assert word in printed


# ---- threads and processes -------------------------------------------------------------------------------------
LARGE: dict[str, dict[str, Any]] = {
    "linear": {"size": (301, 310)},
    "nearest": {"size": (301, 310), "method": "nearest"},
    "shrunk": {"size": (40, 50), "method": "lanczos3", "antialias": True},
    "rows": {"size": (301,), "axes": 0},
    "columns": {"size": (301,), "axes": 1},
}


@pytest.mark.parametrize("arguments", LARGE.values(), ids=LARGE)
def test_the_number_of_threads_changes_nothing(use_threads: Any, arguments: dict[str, Any]) -> None:
    x = noise((200, 210, 3), "float32")
    results = []
    for number in ("1", "2", "5"):
        use_threads(number)
        results.append(gu.resize(x, **arguments))
    for result in results[1:]:
        assert_same_bits(result, results[0])


@pytest.mark.parametrize("threads", ["1", "2"])
def test_calls_from_many_threads(use_threads: Any, threads: str) -> None:
    use_threads(threads)
    inputs = [noise((200, 210, 3), "float32", seed) for seed in range(4)]
    expected = {(seed, name): gu.resize(inputs[seed], **LARGE[name]) for seed in range(4) for name in LARGE}
    jobs = [*expected] * 3
    with ThreadPoolExecutor(8) as pool:
        for job, result in zip(
            jobs, pool.map(lambda job: gu.resize(inputs[job[0]], **LARGE[job[1]]), jobs), strict=True
        ):
            assert_same_bits(result, expected[job])


def send_resized(connection: Any, x: Any) -> None:
    inherited = threads.pool_of.cache_info().currsize, usual_threads.cache_info().currsize
    connection.send((gu.resize(x, **LARGE["linear"]), inherited))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child(use_threads: Any) -> None:
    """The child has none of the threads that the parent started."""
    use_threads("2")
    x = noise((200, 210, 3), "float32")
    expected = gu.resize(x, **LARGE["linear"])
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=send_resized, args=(sender, x))
    child.start()
    try:
        assert receiver.poll(60), "the child hangs"
        found, inherited = receiver.recv()
        assert_same_bits(found, expected)
        assert inherited == (0, 0)
    finally:
        child.kill()
        child.join()
