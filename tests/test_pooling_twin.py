"""The CUDA kernels of pooling and unpooling: the CPU backend's bits on the host twin, and their machine code."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import gpu_upsample as gu

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from gpu_upsample.cuda import flags, unpooling
from gpu_upsample.cuda.pooling_kernels import PoolSpec
from gpu_upsample.cuda.unpooling_kernels import FetchSpec, FillSpec, PlaceSpec, VoteSpec
from gpu_upsample.plan.dtypes import STORAGE
from tests import twin, twin_memory
from tests.cases import seldom
from tests.test_pooling import POOL, REAL, UNPOOL, noise
from tests.test_twin import bits


def assert_same(device, host):
    assert isinstance(device, twin.TwinArray)
    assert (device.shape, device.dtype) == (host.shape, host.dtype)
    np.testing.assert_array_equal(np.asarray(device).view(np.uint8), np.ascontiguousarray(host).view(np.uint8))


def assert_pool_equals_cpu(x, rank, *arguments):
    expected = POOL[rank](x, *arguments, return_indices=True, backend="cpu")
    with twin.installed():
        got = POOL[rank](twin.to_twin(x), *arguments, return_indices=True)
        if x.dtype in (np.float32, np.int64):  # to save time
            assert_same(POOL[rank](twin.to_twin(x), *arguments), expected[0])
    for device, host in zip(got, expected, strict=True):
        assert_same(device, host)


def assert_unpool_equals_cpu(x, indices, rank, *arguments, run=twin.run):
    expected = UNPOOL[rank](x, indices, *arguments, backend="cpu")
    with twin.installed(run):
        got = UNPOOL[rank](twin.to_twin(x), twin.to_twin(indices), *arguments)
        gu.check_errors()
        strayed = int(flags._flags[0][flags.STRAYED])
    assert_same(got, expected)
    return strayed


# ---- pooling ------------------------------------------------------------------------------------------------
GEOMETRIES = [
    (1, (2, 3, 9), 2, None, 0, 1, False),
    (1, (2, 3, 40), 3, 2, 1, 1, True),
    (1, (2, 300), 7, 3, 2, 2, False),
    (2, (2, 3, 8, 8), 2, None, 0, 1, False),
    (2, (2, 3, 9, 12), 3, 2, 1, 1, False),
    (2, (2, 3, 9, 12), 3, 1, 1, 1, False),
    (2, (2, 3, 9, 11), (2, 5), (3, 1), (1, 2), (2, 1), True),
    (2, (3, 13, 24), (4, 6), (1, 3), (2, 0), (1, 2), True),
    (3, (2, 2, 5, 6, 8), 2, None, 0, 1, False),
    (3, (2, 5, 6, 9), (1, 3, 2), (2, 1, 3), (0, 1, 1), (1, 2, 1), True),
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_pool_geometries(geometry):
    rank, shape, *arguments = geometry
    assert_pool_equals_cpu(noise(shape, "float32"), rank, *arguments)


# Others are compared, or moved, as one of these is.
OFTEN = {"bool", "int8", "uint16", "int32", "uint64", "float16", "bfloat16", "float64", "complex128"}


@pytest.mark.parametrize("dtype", seldom(REAL, OFTEN))
def test_pool_dtypes(dtype):
    x = noise((2, 3, 9, 16), dtype)
    low = -np.inf if "float" in dtype else 0 if dtype == "bool" else np.iinfo(dtype).min
    x[0, 0] = low  # windows of nothing but the lowest sample have a first one, too
    assert_pool_equals_cpu(x, 2, 3, 2, 1)


def test_rows_and_addresses_decide_how_many_outputs_a_thread_owns():
    x = twin.to_twin(noise((1, 4, 16), "float32"))
    whole = np.zeros(1 + 16, np.float32)
    with twin.installed():
        twin.launched.clear()
        gu.max_pool2d(x, 2)
        gu.max_pool2d(x, 2, out=whole[1:].view(twin.TwinArray).reshape(1, 2, 8))
        gu.max_pool2d(x, (2, 4))
        gu.max_pool2d(x, 1, 3)
    assert [spec.lanes for spec in twin.launched] == [4, 1, 4, 2]
    assert [spec.edges for spec in twin.launched] == [False] * 4
    with twin.installed():
        odd = np.zeros(17, np.int64)
        shift = 1 if odd.__array_interface__["data"][0] % 16 == 0 else 0
        pair = whole[:16].view(twin.TwinArray).reshape(1, 2, 8), odd[shift : shift + 16].view(twin.TwinArray)
        twin.launched.clear()
        gu.max_pool2d(x, 2, return_indices=True, out=(pair[0], pair[1].reshape(1, 2, 8)))
    assert [spec.lanes for spec in twin.launched] == [1]


def last_blocks(count, seen, spec, device, stream, blocks, arguments):
    seen.append((spec, twin.run(spec, device, stream, blocks, arguments, only=range(blocks - count, blocks))))


@pytest.mark.parametrize(("planes", "wide"), [(2**19 + 1, False), (2**20 + 1, True)])
def test_pool_beyond_32_bits(planes, wide):
    # Untouched memory is never backed by pages, so an array of gigabytes costs little.
    x = np.zeros((planes, 4096), np.uint8).view(twin.TwinArray)
    tail = noise((1, 4096), "uint8")
    np.asarray(x)[-1:] = tail
    seen = []
    with twin.installed(partial(last_blocks, 2, seen)):
        values, indices = gu.max_pool1d(x, 64, return_indices=True)
    assert [spec.wide for spec, _ in seen] == [wide]
    expected, places = gu.max_pool1d(tail, 64, return_indices=True, backend="cpu")
    np.testing.assert_array_equal(np.asarray(values[-1:]), expected)
    np.testing.assert_array_equal(np.asarray(indices[-1:]), places)


# ---- unpooling ----------------------------------------------------------------------------------------------
DTYPES = [*REAL, "complex64", "complex128"]


@pytest.mark.parametrize("dtype", seldom(DTYPES, OFTEN))
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_unpool_dtypes_with_duplicates(dtype, index):
    x = noise((2, 3, 5, 4), dtype)
    assert_unpool_equals_cpu(x, np.random.default_rng(1).integers(0, 80, x.shape).astype(index), 2, 2)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("shape", [(3, 7), (2, 3, 5), (1, 2, 3, 3, 3)])
def test_unpool_odd_sizes(dtype, shape):
    rank = {2: 1, 3: 1, 5: 3}[len(shape)]
    x = noise(shape, dtype)
    size = tuple(2 * n + 1 for n in shape[-rank:])
    indices = np.random.default_rng(2).integers(0, np.prod(size), shape)
    assert_unpool_equals_cpu(x, indices, rank, 2, None, 0, size)


def backwards(spec, device, stream, blocks, arguments):
    """Run the blocks of a kernel in the reverse order."""
    return twin.run(spec, device, stream, blocks, arguments, only=range(blocks - 1, -1, -1))


@pytest.mark.parametrize("run", [twin.run, backwards])
def test_the_winner_does_not_depend_on_the_order_of_threads(run):
    x = noise((4, 600), "float64")
    indices = np.random.default_rng(3).integers(0, 40, x.shape)  # each place is named by some fifteen sources
    assert_unpool_equals_cpu(x, indices, 1, 2, run=run)


BY_VOTES, BY_WINDOWS = [VoteSpec, FetchSpec], [FillSpec, VoteSpec, PlaceSpec]


def kinds_launched():
    return [type(spec) for spec in twin.launched]


def test_planes_in_batches(monkeypatch):
    monkeypatch.setattr(unpooling, "_VOTE_BYTES", 4 * 81 * 3)
    monkeypatch.setattr(unpooling, "_STRAY_BYTES", 4 * 64 * 3)
    x = noise((2, 5, 4, 4), "float32")
    for size, kinds in (((9, 9), BY_VOTES), ((8, 8), BY_WINDOWS)):
        twin.launched.clear()
        assert_unpool_equals_cpu(x, np.random.default_rng(4).integers(0, 64, x.shape), 2, 2, None, 0, size)
        assert kinds_launched() == kinds * 4


def test_wide_indices(monkeypatch):
    monkeypatch.setattr(unpooling, "NARROW", 0)
    for dtype in ("uint8", "float32", "complex64"):
        for size, kinds in (((9, 9), BY_VOTES), ((8, 8), BY_WINDOWS)):
            twin.launched.clear()
            x = noise((2, 5, 4, 4), dtype)
            assert_unpool_equals_cpu(x, np.random.default_rng(5).integers(0, 64, x.shape), 2, 2, None, 0, size)
            assert kinds_launched() == kinds
            assert all(spec.wide for spec in twin.launched)


# Kernel, shape, and how many windows a thread fills.
TILES = [
    (2, (2, 3, 16), 2), (1, (2, 8), 4), (3, (2, 3, 16), 1), (4, (2, 3, 9), 1), ((3, 2), (2, 3, 4, 6), 2),
    ((2, 2), (2, 5, 7), 1), ((5, 1), (1, 2, 3, 6), 2), ((2, 3, 2), (2, 2, 3, 4), 2), ((3, 1, 4), (2, 2, 2, 3, 5), 1),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "complex128"])
@pytest.mark.parametrize("tile", TILES, ids=str)
def test_windows_that_tile_are_filled_in_one_pass(tile, dtype):
    kernel, shape, windows = tile
    rank = len(kernel) if isinstance(kernel, tuple) else 1
    taps = kernel if isinstance(kernel, tuple) else (kernel,)
    x = noise(shape, dtype)
    whole = np.zeros((*shape[:-rank], *(n * k for n, k in zip(shape[-rank:], taps, strict=True))), "float32")
    whole.flat[np.random.default_rng(6).permutation(whole.size)] = np.arange(whole.size)
    _, indices = POOL[rank](whole, kernel, return_indices=True, backend="cpu")
    twin.launched.clear()
    strayed = assert_unpool_equals_cpu(x, indices, rank, kernel)
    assert kinds_launched() == BY_WINDOWS
    assert twin.launched[0].windows == windows
    assert not strayed


def test_strays(monkeypatch):
    """Votes begin as whatever the memory held, above all as positions of sources."""
    generator = np.random.default_rng(7)
    monkeypatch.setattr(
        twin_memory.CUPY,
        "empty",
        lambda shape, dtype: generator.integers(0, 146, shape).astype(dtype).view(twin.TwinArray),
    )
    x = noise((3, 48), "float32")
    own = 2 * np.arange(48) + generator.integers(0, 2, x.shape)
    for strays in (1, 5, 48):
        for run in (twin.run, backwards):
            indices = own.copy()
            indices[:, generator.permutation(48)[:strays]] = generator.integers(0, 96, (3, strays))
            twin.launched.clear()
            assert assert_unpool_equals_cpu(x, indices, 1, 2, run=run)
            assert kinds_launched() == BY_WINDOWS


def test_large_windows_and_odd_addresses_are_filled_by_votes():
    with twin.installed():
        twin.launched.clear()
        gu.max_unpool1d(twin.to_twin(np.ones((1, 4))), twin.to_twin(np.arange(0, 32, 8)[None]), 8)
        gu.max_unpool2d(twin.to_twin(np.ones((1, 1, 4))), twin.to_twin(np.arange(4)[None, None]), (65, 1))
        odd = np.zeros(9, np.float32)[1:].view(twin.TwinArray).reshape(1, 8)
        assert odd.__array_interface__["data"][0] % 8
        gu.max_unpool1d(twin.to_twin(np.ones((1, 4), "float32")), twin.to_twin(np.arange(0, 8, 2)[None]), 2, out=odd)
    assert kinds_launched() == BY_VOTES * 3
    assert np.asarray(odd).tolist() == [[1, 0, 1, 0, 1, 0, 1, 0]]


def test_inputs_may_begin_between_the_places_of_vectors():
    x = np.arange(1, 9, dtype=np.float32).reshape(1, 8)
    indices = np.arange(0, 16, 2).reshape(1, 8)
    with twin.installed():
        for at_x, at_indices in ((1, 0), (0, 1)):
            given = twin_memory.at_offset(x, at_x), twin_memory.at_offset(indices, at_indices)
            np.testing.assert_array_equal(np.asarray(gu.max_unpool1d(*given, 2)), gu.max_unpool1d(x, indices, 2))


def test_wide_indices_count_the_parts_of_complex_numbers(monkeypatch):
    monkeypatch.setattr(unpooling, "NARROW", 2 * 64 + unpooling.THREADS * unpooling.SOURCES)
    indices = np.arange(0, 64, 2).reshape(1, 32)
    with twin.installed():
        for dtype, wide in (("float32", False), ("complex64", True)):
            twin.launched.clear()
            gu.max_unpool1d(twin.to_twin(np.ones((1, 32), dtype)), twin.to_twin(indices), 2)
            assert {spec.wide for spec in twin.launched if isinstance(spec, FillSpec | PlaceSpec)} == {wide}


def test_pool_and_unpool_a_batch():
    x = noise((2, 3, 9, 12), "float32")
    pooled = gu.max_pool2d(x, 3, 2, 1, return_indices=True, backend="cpu")
    assert_unpool_equals_cpu(*pooled, 2, 3, 2, 1, (9, 12))


BAD = [64, -1, 2**40, -(2**63), 2**63 - 1]


@pytest.mark.parametrize("bad", BAD)
def test_an_index_out_of_range_is_passed_over_and_told(bad):
    x = np.arange(1.0, 33.0).reshape(1, 2, 4, 4)
    indices = np.arange(0, 64, 4).reshape(1, 1, 4, 4).repeat(2, axis=1)
    expected = gu.max_unpool2d(x, indices, 2, backend="cpu")
    expected[0, 1].flat[indices[0, 1, 2, 3]] = 0
    indices[0, 1, 2, 3] = bad
    with twin.installed():
        got = gu.max_unpool2d(twin.to_twin(x), twin.to_twin(indices), 2)
        np.testing.assert_array_equal(np.asarray(got), expected)
        with pytest.raises(ValueError, match="out of range"):
            gu.check_errors()
        gu.check_errors()  # told once
        out = twin.to_twin(np.full_like(expected, 7))
        with pytest.raises(ValueError, match=rf"indices\[0, 1, 2, 3\] is {bad}"):
            gu.max_unpool2d(twin.to_twin(x), twin.to_twin(indices), 2, validate=True, out=out)
        assert (np.asarray(out) == 7).all()
        gu.check_errors()


def test_negative_int32_indices_are_out_of_range_in_large_planes():
    spec = VoteSpec("int32", False)
    indices, flag = np.array([-1, 5], np.int32).view(twin.TwinArray), np.zeros(2, np.uint32).view(twin.TwinArray)
    winners = np.zeros(8, np.uint32).view(twin.TwinArray)
    with twin.installed():
        # Were -1 taken for 2**32 - 1, it would lie inside such a plane.
        twin.run(spec, 0, 1, 1, (indices.data.ptr, winners.data.ptr, flag.data.ptr, 2, 2, 2**32))
    assert np.asarray(winners).tolist() == [0, 0, 0, 0, 0, 2, 0, 0]
    assert np.asarray(flag).tolist() == [1, 0]


def test_data_going_back_to_the_host_raises_and_nothing_is_written():
    x, indices = np.ones((1, 4)), np.array([[0, 2, 4, 8]])
    out = np.full((1, 8), 7.0)
    with twin.installed():
        with pytest.raises(ValueError, match="out of range"):
            gu.max_unpool1d(x, indices, 2, backend="cuda", out=out)
        assert (out == 7).all()
        with pytest.raises(ValueError, match=r"indices\[0, 3\] is 8"):
            gu.max_unpool1d(x, indices, 2, backend="cuda", out=out, validate=True)
        indices[0, 3] = 6
        assert gu.max_unpool1d(x, indices, 2, backend="cuda", out=out) is out
        assert flags._flags
    np.testing.assert_array_equal(bits(out), bits(np.array([[1.0, 0, 1, 0, 1, 0, 1, 0]])))


@pytest.mark.parametrize("shape", [(0, 3, 6, 6), (2, 0, 6, 6)])
def test_empty_batches_launch_nothing(shape):
    x = twin.to_twin(np.zeros(shape, np.float32))
    with twin.installed():
        twin.launched.clear()
        pooled = gu.max_pool2d(x, 2, return_indices=True)
        assert gu.max_unpool2d(*pooled, 2).shape == shape
    assert twin.launched == []


# ---- what the compiler makes of the kernels -----------------------------------------------------------------
REGISTERS = 64

POOL_SPEC = PoolSpec("float32", True, 2, True, 4, False)
POOLS = [replace(POOL_SPEC, source=source, lanes=min(4, 16 // STORAGE[source].itemsize)) for source in STORAGE]
POOLS += [
    replace(POOL_SPEC, indices=False),
    replace(POOL_SPEC, edges=False),
    replace(POOL_SPEC, columns=0),
    replace(POOL_SPEC, columns=4),
    replace(POOL_SPEC, columns=3, source="float16"),
    replace(POOL_SPEC, lanes=1),
    replace(POOL_SPEC, wide=True),
    replace(POOL_SPEC, numbered=True),
    replace(POOL_SPEC, numbered=True, wide=True),
]
VOTES = [VoteSpec(index, wide) for index in ("int32", "int64") for wide in (False, True)]
VOTES += [VoteSpec("int64", False, only_if_strayed=True)]
FILLS = [FillSpec(size, 1, "int64", 2, 2, False) for size in (1, 2, 4, 8)]
FILLS += [
    FillSpec(4, 1, "int32", 4, 1, False),
    FillSpec(4, 2, "int64", 1, 4, False),
    FillSpec(8, 2, "int64", 3, 1, True),
]
PLACES = [PlaceSpec(4, 1, "int64", False), PlaceSpec(8, 2, "int32", True)]
FETCHES = [FetchSpec(size, 1, min(4, 16 // size), False) for size in (1, 2, 4, 8)]
FETCHES += [FetchSpec(4, 2, 4, False), FetchSpec(8, 2, 2, False), FetchSpec(1, 1, 1, False), FetchSpec(4, 1, 2, True)]


def describe(spec):
    return "-".join(str(value) for value in (type(spec).__name__, *vars(spec).values()))


def check(spec, capability):
    machine_code = pytest.importorskip("tests.machine_code")
    code = re.sub(r"//.*", "", machine_code.ptx(spec, capability))
    assert "call" not in code
    assert ".local" not in code
    assert not re.search(r"\b(add|sub|mul|fma)(\.\w+)*\.f(16|32|64)\b", code)  # values are compared and copied
    if getattr(spec, "source", None) != "float64":
        assert not re.search(r"\.f64\b", code)
    if not spec.wide:
        assert not re.search(r"\b(div|rem)\.[su]64\b", code)
    atomics = re.findall(r"\b(?:atom|red)\.\S+", code)
    votes = {"max.u32"} if isinstance(spec, VoteSpec | FillSpec) else set()
    votes |= {"max.u64"} if isinstance(spec, VoteSpec) and spec.wide else set()
    assert {".".join(name.split(".")[-2:]) for name in atomics} == votes
    used = machine_code.resources(spec, capability)
    assert used["REG"] <= REGISTERS
    assert used["STACK"] == used["LOCAL"] == 0


@pytest.mark.parametrize("spec", [*POOLS, *FILLS, *VOTES, *PLACES, *FETCHES], ids=describe)
def test_every_kernel_on_sm_90(spec):
    pytest.importorskip("nvidia.cu13", reason="reading machine code needs nvidia-cuda-cuobjdump")
    check(spec, (9, 0))


@pytest.mark.parametrize("capability", [(7, 5), (10, 0)], ids=lambda c: f"sm_{c[0]}{c[1]}")
@pytest.mark.parametrize("spec", [POOL_SPEC, POOLS[10], FILLS[2], VOTES[2], PLACES[0], FETCHES[2]], ids=describe)
def test_samples_on_other_generations(spec, capability):
    pytest.importorskip("nvidia.cu13", reason="reading machine code needs nvidia-cuda-cuobjdump")
    check(spec, capability)
