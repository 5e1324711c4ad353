"""Max pooling and unpooling on the CPU: torch's results and indices, a naive oracle, dtypes, special values, errors."""

from __future__ import annotations

import itertools
import warnings

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpu_upsample as gu
from gpu_upsample.cpu import pooling
from gpu_upsample.cpu.record import ROOM
from gpu_upsample.plan.pooling import plan_max_pool
from tests.tolerances import assert_same_bits

POOL = {1: gu.max_pool1d, 2: gu.max_pool2d, 3: gu.max_pool3d}
UNPOOL = {1: gu.max_unpool1d, 2: gu.max_unpool2d, 3: gu.max_unpool3d}

REAL = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
REAL += ["float16", "bfloat16", "float32", "float64"]
TORCH_TYPES = ["uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]


@pytest.fixture(autouse=True)
def on_the_cpu():
    with gu.use_backend("cpu"):
        yield


def as_dtype(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def noise(shape, dtype, seed=0):
    """Return samples with many ties, and NaN, infinities and negative zeros where a dtype has them."""
    rng = np.random.default_rng(seed)
    kind = as_dtype(dtype)
    if kind.kind == "b":
        return rng.random(shape) < 0.3
    if kind.kind in "iu":
        info = np.iinfo(kind)
        some = np.array([info.min, info.min + 1, 0, 1, info.max - 1, info.max], kind)
        return rng.choice(some, shape)
    x = rng.choice([-2.5, -1.0, -0.0, 0.0, 1.0, 3.25, np.inf, -np.inf, -np.inf, np.nan], shape, p=[0.1] * 10)
    if kind.kind == "c":
        return np.stack([x, rng.permuted(x)], -1).view(np.complex128)[..., 0].astype(kind)
    return x.astype(kind)


def assert_equal(actual, expected):
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    wide = [array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array for array in (actual, expected)]
    np.testing.assert_array_equal(*wide)


# ---- a naive oracle -----------------------------------------------------------------------------------------
def naive_pool(x, rank, kernel, stride, padding, dilation, ceil_mode):
    """Pool by the definition: sample by sample, window by window."""
    size = x.shape[-rank:]
    counts = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        count = 0
        while count * s + (k - 1) * d < n + 2 * p or (
            ceil_mode and count * s + (k - 1) * d < n + 2 * p + s - 1 and count * s < n + p
        ):
            count += 1
        counts.append(count)
    planes = x.reshape(-1, *size)
    values = np.empty((len(planes), *counts), x.dtype)
    indices = np.empty(values.shape, np.int64)
    for plane, *at in np.ndindex(values.shape):
        best = None
        for tap in itertools.product(*map(range, kernel)):
            place = [o * s - p + k * d for o, s, p, k, d in zip(at, stride, padding, tap, dilation, strict=True)]
            if not all(0 <= i < n for i, n in zip(place, size, strict=True)):
                continue
            value = planes[(plane, *place)]
            if best is None or value > best or value != value:
                best = value
                indices[(plane, *at)] = np.ravel_multi_index(place, size)
        values[(plane, *at)] = best
    shape = (*x.shape[:-rank], *counts)
    return values.reshape(shape), indices.reshape(shape)


def naive_unpool(x, indices, rank, size_out):
    out = np.zeros((int(np.prod(x.shape[:-rank])), int(np.prod(size_out))), x.dtype)
    for plane, (values, places) in enumerate(zip(x.reshape(len(out), -1), indices.reshape(len(out), -1), strict=True)):
        for value, place in zip(values, places, strict=True):
            out[plane, place] = value
    return out.reshape(*x.shape[:-rank], *size_out)


@st.composite
def geometries(draw, longest=9):
    """Draw arguments that torch takes: padding at most half of the kernel, no window that steps over the array."""
    rank = draw(st.integers(1, 3))
    axes = []
    for _ in range(rank):
        n = draw(st.integers(1, longest if rank < 3 else 6))
        k = draw(st.integers(1, 5 if rank < 3 else 3))
        p = draw(st.integers(0, k // 2))
        d = draw(st.integers(1, 3))
        if n + 2 * p < (k - 1) * d + 1 or d > n:
            d, k = 1, min(k, n)
            p = min(p, k // 2)
        axes.append((n, k, draw(st.integers(1, 4)), p, d))
    size, kernel, stride, padding, dilation = zip(*axes, strict=True)
    lead = draw(st.sampled_from([(2, 3), (1, 1), (3,)]))
    return rank, (*lead, *size), kernel, stride, padding, dilation, draw(st.booleans())


@settings(max_examples=120)
@given(geometries(longest=6), st.sampled_from(["float32", "uint8"]), st.integers(0, 99))
def test_the_definition(geometry, dtype, seed):
    rank, shape, *arguments = geometry
    x = noise(shape, dtype, seed)
    values, indices = POOL[rank](x, *arguments, return_indices=True)
    expected, places = naive_pool(x, rank, *arguments)
    assert_equal(values, expected)
    np.testing.assert_array_equal(indices, places)
    assert indices.dtype == np.int64
    assert_same_bits(POOL[rank](x, *arguments), values)


def pool_by_taps(x, kernel, stride, padding, dilation, ceil_mode):
    """Pool the last axis tap by tap, all windows at once: what `naive_pool` does window by window."""
    (*_, n), reach = x.shape, (kernel - 1) * dilation
    count = len(range(0, n + 2 * padding - reach + (stride - 1 if ceil_mode else 0), stride))
    count -= ceil_mode and (count - 1) * stride >= n + padding
    values, places = np.empty((*x.shape[:-1], count), x.dtype), np.full((*x.shape[:-1], count), -1)
    for tap in range(kernel):
        place = np.arange(count) * stride - padding + tap * dilation
        new = x[..., np.clip(place, 0, n - 1)]
        with np.errstate(invalid="ignore"):  # of bfloat16
            better = (places < 0) | (new > values) | (new != new)
        chosen = better & (place >= 0) & (place < n)
        values, places = np.where(chosen, new, values), np.where(chosen, place, places)
    return values, places


@st.composite
def rows(draw):
    """Draw arguments for rows of many windows: of several vectors, and of a part of one."""
    n, dilation = draw(st.integers(1, 300)), draw(st.integers(1, 3))
    kernel = min(draw(st.sampled_from([1, 2, 3, 6, 11])), (n - 1) // dilation + 1)
    stride, padding = draw(st.sampled_from([1, 2, 3, 7])), draw(st.integers(0, kernel // 2))
    return n, kernel, stride, padding, dilation, draw(st.booleans())


@settings(max_examples=150)
@given(rows(), st.sampled_from(["uint8", "int64", "bfloat16", "float32"]), st.integers(0, 99), st.booleans())
def test_rows_of_any_length(row, dtype, seed, far):
    """Whether or not windows reach so far that distances take 64 bits."""
    n, *arguments = row
    x = noise((3, n), dtype, seed)
    with pytest.MonkeyPatch.context() as patch:
        if far:
            patch.setattr(pooling, "_FAR", 0)
        pooling._pool_work.cache_clear()
        values, indices = gu.max_pool1d(x, *arguments, return_indices=True)
        assert_same_bits(gu.max_pool1d(x, *arguments), values)
    expected, places = pool_by_taps(x, *arguments)
    assert_equal(values, expected)
    np.testing.assert_array_equal(indices, places)


def tensor(x):
    torch = pytest.importorskip("torch")
    if x.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(x)


def array(t):
    torch = pytest.importorskip("torch")
    return t.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if t.dtype == torch.bfloat16 else t.numpy()


@settings(max_examples=2500)
@given(geometries(), st.integers(0, 99), st.booleans())
def test_torch(geometry, seed, default_stride):
    assert_equals_torch(geometry, "float32", seed, default_stride)


@pytest.mark.parametrize("dtype", TORCH_TYPES)
@pytest.mark.parametrize("geometry", [(2, (2, 3, 9, 11), (3, 2), (2, 2), (1, 1), (1, 2), True)], ids=["2d"])
def test_torch_for_every_dtype(dtype, geometry):
    for seed in range(10):
        assert_equals_torch(geometry, dtype, seed, False)


def assert_equals_torch(geometry, dtype, seed, default_stride):
    functional = pytest.importorskip("torch").nn.functional
    rank, shape, kernel, stride, *arguments = geometry
    stride = None if default_stride else stride
    x = noise(shape, dtype, seed)
    expected, places = getattr(functional, f"max_pool{rank}d")(
        tensor(x), kernel, stride, *arguments, return_indices=True
    )
    values, indices = POOL[rank](x, kernel, stride, *arguments, True)
    assert_equal(values, array(expected))
    np.testing.assert_array_equal(indices, places.numpy())
    if dtype.startswith(("float", "bfloat")) and not arguments[-1]:
        padding = arguments[0]
        default = tuple(
            (n - 1) * s + k - 2 * p
            for n, s, k, p in zip(values.shape[-rank:], stride or kernel, kernel, padding, strict=True)
        )
        size = shape[-rank:]
        if all(abs(n - m) < s for n, m, s in zip(size, default, stride or kernel, strict=True)):
            unpooled = UNPOOL[rank](values, indices, kernel, stride, padding, size)
            # torch races where windows overlap; there every index names one sample, so that the race has one result
            restored = getattr(functional, f"max_unpool{rank}d")(expected, places, kernel, stride, padding, size)
            assert_equal(unpooled, array(restored))


@pytest.mark.parametrize(
    ("n", "geometry", "most"),
    [(5, (2, 10**9 // 2, 0, 10**9 // 2, True), 1 << 10), (1 << 20, (2, 1 << 19, 1, 1, False), 1 << 10)],
    ids=["taps far apart", "windows far apart"],
)
def test_memory_of_windows_that_see_few_samples(n, geometry, most):
    x = noise((1, 1, n), "float32")
    values, indices = gu.max_pool1d(x, *geometry, return_indices=True)
    expected, places = pool_by_taps(x, *geometry)
    assert_equal(values, expected)
    np.testing.assert_array_equal(indices, places)
    plan = plan_max_pool(x.shape, "float32", 1, *geometry, True)
    assert pooling._pool_work(plan.steps[0], True).record[ROOM] <= most


@pytest.mark.parametrize("near", [True, False])
def test_distances_take_64_bits_where_a_window_reaches_so_far(near, monkeypatch):
    x, wide = noise((1, 1, 9, 8, 7), "float32"), []
    farthest = ((3 - 1) * 8 + (2 - 1) * 3) * 7 + (2 - 1) * 2  # of three planes, two rows and two columns
    build = pooling.pool_kernel
    monkeypatch.setattr(pooling, "pool_kernel", lambda *kind: wide.append(kind[-1]) or build(*kind))
    monkeypatch.setattr(pooling, "_FAR", farthest + near)
    pooling._pool_work.cache_clear()
    gu.max_pool3d(x, (3, 2, 2), 1, 0, (1, 3, 2), return_indices=True)
    assert wide == [int(not near)]


REFUSED = [
    ((1, 1, 9), 3, 1, 2, 1, False),
    ((1, 1, 9), 10, 1, 0, 1, False),
    ((1, 1, 9), 4, 1, 0, 3, False),
    ((1, 1, 9), 0, 1, 0, 1, False),
    ((1, 1, 9), 2, 0, 0, 1, False),
    ((1, 1, 9), 2, 1, -1, 1, False),
    ((1, 1, 9), 2, 1, 0, 0, False),
    ((1, 1, 0), 2, 1, 0, 1, False),
    ((9,), 2, 1, 0, 1, False),
    ((1, 1, 1, 9), 2, 1, 0, 1, False),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_torch_refuses(case):
    torch = pytest.importorskip("torch")
    shape, *arguments = case
    with pytest.raises(RuntimeError):
        torch.nn.functional.max_pool1d(torch.zeros(shape), *arguments)
    with pytest.raises(ValueError, match=r"must|takes"):
        gu.max_pool1d(np.zeros(shape), *arguments)


# ---- pooling ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", REAL)
def test_the_definition_for_every_dtype(dtype):
    geometry = (2, (3, 3), (2, 2), (1, 1), (1, 1), True)
    x = noise((2, 3, 9, 11), dtype)
    values, indices = gu.max_pool2d(x, *geometry[1:], return_indices=True)
    expected, places = naive_pool(x, *geometry)
    assert_equal(values, expected)
    np.testing.assert_array_equal(indices, places)


def test_special_values():
    nan, inf = np.nan, np.inf
    x = np.array([[-inf, -inf, nan, 1, nan, 2, -0.0, 0.0, 5, 5]])
    values, indices = gu.max_pool1d(x, 2, return_indices=True)
    np.testing.assert_array_equal(values, [[-inf, nan, nan, 0, 5]])
    np.testing.assert_array_equal(indices, [[0, 2, 4, 6, 8]])  # the first of equals
    assert np.signbit(values[0, 3])
    _, indices = gu.max_pool1d(x, 5, return_indices=True)
    np.testing.assert_array_equal(indices, [[4, 8]])  # the last NaN


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_nan_keeps_its_payload(dtype):
    word = {2: np.uint16, 4: np.uint32, 8: np.uint64}[as_dtype(dtype).itemsize]
    payload = np.array([np.nan], as_dtype(dtype)).view(word) | word(5)
    x = np.zeros((1, 40), as_dtype(dtype))
    x.view(word)[0, 17] = payload[0]
    assert gu.max_pool1d(x, 2).view(word)[0, 8] == payload[0]


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_wide_integers_are_compared_exactly(dtype):
    high = np.iinfo(dtype).max
    x = np.array([[high - 1, high, high, high - 1]], dtype)
    values, indices = gu.max_pool1d(x, 2, return_indices=True)
    assert values.tolist() == [[high, high]]
    assert indices.tolist() == [[1, 2]]


def test_unbatched_is_a_batch_of_one():
    for rank in (1, 2, 3):
        x = noise((3, 6, 7, 8)[: rank + 1], "float32")
        batch, unbatched = POOL[rank](x[None], 2, return_indices=True), POOL[rank](x, 2, return_indices=True)
        for one, other in zip(batch, unbatched, strict=True):
            assert_same_bits(one[0], other)
        size = x.shape[1:]
        restored = UNPOOL[rank](*batch, 2, output_size=size)
        assert_same_bits(restored[0], UNPOOL[rank](*unbatched, 2, output_size=size))


@pytest.mark.parametrize("rank", [1, 2])
def test_lower_ranks_are_those_of_length_one(rank):
    x = noise((2, 3, *(6, 7)[:rank]), "float32")
    values, indices = POOL[rank](x, 3, 2, 1, return_indices=True)
    ones, zeros = (1,) * (3 - rank), (0,) * (3 - rank)
    shape = (2, 3, *ones, *x.shape[2:])
    three = gu.max_pool3d(
        x.reshape(shape), (*ones, *[3] * rank), (*ones, *[2] * rank), (*zeros, *[1] * rank), return_indices=True
    )
    assert_same_bits(three[0].reshape(values.shape), values)
    assert_same_bits(three[1].reshape(values.shape), indices)


LAYOUTS = {
    "transposed": lambda x: x.swapaxes(-1, -2),
    "flipped": lambda x: x[..., ::-1, ::-1],
    "sliced": lambda x: x[:, :, 1::2, 1:],
    "broadcast": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "swapped bytes": lambda x: x.astype(x.dtype.newbyteorder(">")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    x = LAYOUTS[layout](noise((2, 3, 8, 10), "float32"))
    plain = np.ascontiguousarray(x, np.float32)
    pooled, expected = (gu.max_pool2d(a, 3, 2, 1, return_indices=True) for a in (x, plain))
    for got, wanted in zip(pooled, expected, strict=True):
        assert_same_bits(got, wanted)
    values, indices = (np.asfortranarray(a) for a in pooled)
    assert_same_bits(
        gu.max_unpool2d(values, indices, 3, 2, 1, plain.shape), gu.max_unpool2d(*expected, 3, 2, 1, plain.shape)
    )


@pytest.mark.parametrize("shape", [(0, 3, 6, 6), (2, 0, 6, 6), (0, 6, 6)])
def test_empty_batches(shape):
    values, indices = gu.max_pool2d(np.zeros(shape, np.float32), 2, return_indices=True)
    assert values.shape == indices.shape == (*shape[:-2], 3, 3)
    assert gu.max_unpool2d(values, indices, 2).shape == shape


# ---- unpooling ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [*REAL, "complex64", "complex128"])
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_unpool_every_dtype_bit_for_bit(dtype, index):
    x = noise((2, 3, 5, 4), dtype)
    indices = np.random.default_rng(1).integers(0, 80, x.shape).astype(index)  # with duplicates
    assert_same_bits(gu.max_unpool2d(x, indices, 2), naive_unpool(x, indices, 2, (10, 8)))


@settings(max_examples=200)
@given(geometries(), st.integers(0, 99))
def test_unpool_of_pool_restores_the_maxima(geometry, seed):
    rank, shape, kernel, stride, padding, dilation, ceil_mode = geometry
    x = noise(shape, "float64", seed)
    values, indices = POOL[rank](x, kernel, stride, padding, dilation, ceil_mode, True)
    size = shape[-rank:]
    default = [
        (n - 1) * s + k - 2 * p for n, s, k, p in zip(values.shape[-rank:], stride, kernel, padding, strict=True)
    ]
    if all(abs(n - m) < s for n, m, s in zip(size, default, stride, strict=True)):
        restored = UNPOOL[rank](values, indices, kernel, stride, padding, size)
        expected = naive_unpool(values, indices, rank, size)
        assert_same_bits(restored, expected)
        chosen = restored != 0
        assert_equal(restored[chosen], x[chosen])
    else:
        with pytest.raises(ValueError, match="output_size"):
            UNPOOL[rank](values, indices, kernel, stride, padding, size)


def test_output_size_tells_lengths_apart():
    for n in (6, 7):
        x = noise((1, 2, n, n), "float32", n)
        pooled = gu.max_pool2d(x, 2, return_indices=True)
        for asked in (n, (n,), (n, n), x.shape, np.array([n, n])):
            assert gu.max_unpool2d(*pooled, 2, output_size=asked).shape == x.shape


@pytest.mark.parametrize("rank", [2, 3])
def test_the_only_item_of_a_sequence_serves_all_axes(rank):
    x = noise((2, *(9,) * rank), "float32")
    expected = POOL[rank](x, 3, 2, 1, 1, return_indices=True)
    pooled = POOL[rank](x, (3,), [2], (1,), np.array([1]), return_indices=True)
    for got, wanted in zip(pooled, expected, strict=True):
        assert_same_bits(got, wanted)
    assert_same_bits(UNPOOL[rank](*pooled, [3], (2,), (1,)), UNPOOL[rank](*pooled, 3, 2, 1))
    layer = getattr(gu.nn, f"MaxPool{rank}d")((3,), [2], padding=(1,))
    assert_same_bits(layer(x), expected[0])


def test_of_duplicates_the_last_wins():
    x = np.arange(1.0, 7.0).reshape(1, 1, 6)
    indices = np.array([[[3, 3, 0, 3, 0, 11]]])
    expected = np.zeros((1, 1, 12))
    expected[..., [3, 0, 11]] = 4, 5, 6
    np.testing.assert_array_equal(gu.max_unpool1d(x, indices, 2), expected)


# ---- threads, out, kinds of arrays --------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(1, 1, 600, 700), (40, 5, 60, 50)])
def test_one_thread_and_several_give_the_same(shape, use_threads):
    x = noise(shape, "float32")
    clashing = np.random.default_rng(0).integers(0, shape[2] * shape[3], (*shape[:2], shape[2] // 2, shape[3] // 2))
    results = []
    for threads in ("1", "2", "5"):
        use_threads(threads)
        pooled = gu.max_pool2d(x, 2, return_indices=True)
        results.append((*pooled, gu.max_unpool2d(*pooled, 2), gu.max_unpool2d(pooled[0], clashing, 2)))
    assert_same_bits(results[0][3], naive_unpool(results[0][0], clashing, 2, shape[2:]))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert_same_bits(one, two)


def test_out_is_used():
    x = noise((2, 3, 8, 8), "float32")
    pooled = gu.max_pool2d(x, 2, return_indices=True)
    pair = tuple(np.empty_like(a) for a in pooled)
    assert gu.max_pool2d(x, 2, return_indices=True, out=pair) is pair
    strided = np.empty((2, 3, 8, 16), np.float32)[..., ::2]
    assert gu.max_unpool2d(*pooled, 2, out=strided) is strided
    for got, wanted in zip((*pair, strided), (*pooled, gu.max_unpool2d(*pooled, 2)), strict=True):
        np.testing.assert_array_equal(got, wanted)
    with pytest.raises(TypeError, match="tuple of 2"):
        gu.max_pool2d(x, 2, return_indices=True, out=pair[0])
    with pytest.raises(TypeError, match="int64"):
        gu.max_pool2d(x, 2, return_indices=True, out=(pair[0], pair[0]))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_torch_tensors(dtype):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(noise((2, 3, 6, 8), "float32")).to(getattr(torch, dtype))
    values, indices = gu.max_pool2d(x, 2, return_indices=True)
    expected, places = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(values.nan_to_num(7), expected.nan_to_num(7))
    assert torch.equal(indices, places)
    restored = gu.max_unpool2d(values, indices, 2)
    assert restored.dtype == x.dtype
    assert torch.equal(restored.nan_to_num(7), torch.nn.functional.max_unpool2d(expected, places, 2).nan_to_num(7))


# ---- errors: a clear message, and nothing written -----------------------------------------------------------
X = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
AT = np.zeros(X.shape, np.int64)

POOL_ERRORS = [
    (ValueError, "padding must be at most half", {"kernel_size": 2, "padding": 2}),
    (ValueError, "padding must be at least 0", {"kernel_size": 2, "padding": -1}),
    (ValueError, "kernel_size must fit", {"kernel_size": 5}),
    (ValueError, "kernel_size must fit", {"kernel_size": 2, "dilation": 4}),
    (ValueError, "kernel_size must be at least 1", {"kernel_size": 0}),
    (ValueError, "kernel_size must be one value or 2", {"kernel_size": (2, 2, 2)}),
    (ValueError, "kernel_size must be at most", {"kernel_size": 2**40, "padding": 2**39}),
    (ValueError, "stride must be at least 1", {"kernel_size": 2, "stride": (1, 0)}),
    (ValueError, "stride must be at most", {"kernel_size": 2, "stride": 2**70}),
    (ValueError, "dilation must be at least 1", {"kernel_size": 2, "dilation": 0}),
    (ValueError, "every window must hold a sample", {"kernel_size": 2, "padding": 1, "dilation": (4, 1)}),
    (TypeError, "kernel_size must be an integer", {"kernel_size": 2.0}),
    (TypeError, "kernel_size must be an integer", {"kernel_size": True}),
    (TypeError, "kernel_size must be an integer", {"kernel_size": "2"}),
    (TypeError, "padding must be an integer", {"kernel_size": 2, "padding": "same"}),
    (TypeError, "ceil_mode must be True or False", {"kernel_size": 2, "ceil_mode": 1}),
    (TypeError, "return_indices must be True or False", {"kernel_size": 2, "return_indices": None}),
    (TypeError, "order", {"kernel_size": 2, "x": X.astype(np.complex64)}),
    (TypeError, "x must have one of the dtypes .*; got object", {"kernel_size": 2, "x": X.astype(object)}),
    (TypeError, "x must be", {"kernel_size": 2, "x": X.tolist()}),
    (ValueError, "takes x of shape", {"kernel_size": 2, "x": X[0, 0]}),
    (ValueError, "takes x of shape", {"kernel_size": 2, "x": X[None]}),
    (ValueError, "must not be empty", {"kernel_size": 2, "x": X[:, :, :0]}),
    (ValueError, "backend", {"kernel_size": 2, "backend": "gpu"}),
]


@pytest.mark.parametrize(("kind", "message", "arguments"), POOL_ERRORS)
def test_bad_pooling_is_refused(kind, message, arguments):
    out = np.full((1, 2, 2, 3), 7, np.float32)
    with pytest.raises(kind, match=message):
        gu.max_pool2d(**{"x": X, "stride": 1, "out": out, **arguments})
    assert (out == 7).all()


def at(index):
    indices = AT.copy()
    indices[0, 1, 2, 1] = index
    indices[0, 1, 2, 3] = -99
    return indices


UNPOOL_ERRORS = [
    (ValueError, r"indices must lie between 0 and 47; indices\[0, 1, 2, 1\] is 48", {"indices": at(48)}),
    (ValueError, r"indices\[0, 1, 2, 1\] is -1$", {"indices": at(-1)}),
    (ValueError, r"indices\[0, 1, 2, 1\] is -1$", {"indices": at(-1).astype(np.int32)}),
    (ValueError, r"is 9223372036854775807", {"indices": at(2**63 - 1)}),
    (ValueError, r"is -9223372036854775808", {"indices": at(-(2**63))}),
    (ValueError, r"indices\[0, 1, 2, 3\] is -99", {"indices": at(0)}),
    (ValueError, "indices must have the shape of x", {"indices": AT[:, :1]}),
    (TypeError, "int32 or int64", {"indices": AT.astype(np.uint64)}),
    (TypeError, "int32 or int64", {"indices": AT.astype(np.float64)}),
    (TypeError, "indices must be", {"indices": AT.tolist()}),
    (ValueError, "output_size", {"output_size": (4, 8)}),
    (ValueError, "output_size", {"output_size": (6, 10)}),
    (ValueError, "output_size must begin like x", {"output_size": (1, 3, 6, 8)}),
    (ValueError, "output_size must be one value or 2", {"output_size": (6, 8, 1)}),
    (TypeError, "output_size must be an integer", {"output_size": (6.0, 8)}),
    (TypeError, "output_size must be an integer", {"output_size": "6"}),
    (ValueError, "padding must be at least 0", {"padding": -1}),
    (ValueError, "give the output size", {"padding": 5}),
    (ValueError, "kernel_size must be at least 1", {"kernel_size": 0}),
    (ValueError, "stride must be at least 1", {"stride": 0}),
    (TypeError, "validate must be True or False", {"validate": 1}),
    (ValueError, "takes x of shape", {"x": X[0, 0], "indices": AT[0, 0]}),
    (ValueError, "must not be empty", {"x": X[..., :0], "indices": AT[..., :0]}),
    (TypeError, "x must have one of the dtypes .*; got datetime64", {"x": X.astype("M8[s]")}),
]


@pytest.mark.parametrize(("kind", "message", "arguments"), UNPOOL_ERRORS)
def test_bad_unpooling_is_refused(kind, message, arguments):
    out = np.full((1, 2, 6, 8), 7, np.float32)
    with pytest.raises(kind, match=message):
        gu.max_unpool2d(**{"x": X, "indices": AT, "kernel_size": 2, "out": out, **arguments})
    assert (out == 7).all()


@pytest.mark.parametrize("place", [0, 4095, 4096, 123_456])
def test_the_first_bad_index_is_named_whatever_the_threads(place, use_threads):
    use_threads("3")
    x, indices = np.zeros((1, 150_000), np.uint8), np.zeros((1, 150_000), np.int64)
    indices[0, place:] = 300_000
    with pytest.raises(ValueError, match=rf"indices\[0, {place}\] is 300000"):
        gu.max_unpool1d(x, indices, 2)


def test_a_window_that_steps_over_the_array_is_refused_where_torch_returns_no_valid_index():
    torch = pytest.importorskip("torch")
    x = np.ones((1, 1, 2), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, index = torch.nn.functional.max_pool1d(torch.from_numpy(x), 2, 1, 1, 3, return_indices=True)
    assert int(index) >= 2
    with pytest.raises(ValueError, match="every window must hold a sample"):
        gu.max_pool1d(x, 2, 1, 1, 3, return_indices=True)


def test_check_errors_finds_none_on_the_cpu():
    assert gu.check_errors() is None
