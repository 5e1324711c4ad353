"""The lowest layer of the CUDA backend, as far as it goes without a driver: packing, compiling, caching."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from numba import types

import gpu_upsample as gu
from gpu_upsample.cuda import compile as compiling
from gpu_upsample.cuda import launch, memory
from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.grid import is_wide, strip_rows
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.registry import KERNELS
from gpu_upsample.cuda.select_kernels import SelectSpec
from gpu_upsample.fingerprint import digest
from gpu_upsample.plan.resample import plan_resize
from tests import host_cost, twin, twin_memory
from tests.test_twin import DEFAULTS

SPEC = SelectSpec(4, True, False, 0, 0, 0, 0, 1, False, False)
CTYPES = {"float32": ctypes.c_float, "float64": ctypes.c_double, "int64": ctypes.c_int64}


def launched_by(monkeypatch, call):
    """Return for each launch of a call its specialisation, its arguments, and what the driver reads."""
    seen = []

    def queue(function, *numbers):
        *grid, shared, stream, addresses, extra = numbers
        assert (function, grid[1:], shared, stream, extra) == (7, [1, 1, THREADS, 1, 1], 0, 1, 0)
        spec, arguments = seen.pop()
        declared = KERNELS[type(spec)][1](spec).args
        pointers = (ctypes.c_void_p * len(declared)).from_address(addresses)
        kinds = [CTYPES.get(str(kind), ctypes.c_uint64) for kind in declared]
        assert all(isinstance(kind, types.CPointer) or str(kind) in ("uint64", *CTYPES) for kind in declared)
        seen.append((spec, arguments, [kind.from_address(at).value for kind, at in zip(kinds, pointers, strict=True)]))

    def launched(spec, device, stream, blocks, addresses, arguments):
        seen.append((spec, (*addresses, *arguments)))
        original(spec, device, stream, blocks, addresses, arguments)

    original = launch.launch
    driver = SimpleNamespace(launchKernel=queue)
    monkeypatch.setattr(launch, "_driver", lambda: driver)
    monkeypatch.setattr(launch, "_capability", lambda device: (9, 0))
    monkeypatch.setattr(launch, "_loaded", lambda code, name: SimpleNamespace(ptr=7))
    launch._kernel.cache_clear()
    try:
        with twin.installed(None):
            launch.launch = launched
            call()
    finally:
        launch._kernel.cache_clear()
    return seen


def test_arguments_are_packed_when_they_are_others_than_before(monkeypatch):
    x = [twin.to_twin(np.zeros((5, width), np.float32)) for width in (400, 404)]

    def calls():
        for array in (x[0], x[0].copy(), x[1], x[0], x[0]):
            gu.resize(array, size=(10, 2 * array.shape[1]))

    seen = launched_by(monkeypatch, calls)
    assert len({spec for spec, _, _ in seen}) == 1
    assert len({arguments[2:] for _, arguments, _ in seen}) == 2
    for _, arguments, packed in seen:
        assert packed == list(arguments)


def test_a_launch_that_fails_or_meets_another_leaves_nothing_behind(monkeypatch):
    queued = []

    def queue(*numbers):
        if len(queued) == 1:  # as a handler of a signal might, between packing and queueing
            queued.append(None)
            kernel(1, 1, [3, 4], (5,) * others)
        pointers = (ctypes.c_void_p * (2 + others)).from_address(numbers[-2])
        queued.append([ctypes.c_uint64.from_address(at).value for at in pointers])
        if len(queued) == 1:
            raise RuntimeError

    monkeypatch.setattr(launch, "_driver", lambda: SimpleNamespace(launchKernel=queue))
    others = len(KERNELS[SelectSpec][1](SPEC).args) - 2
    kernel, mine = launch._Kernel(SPEC, SimpleNamespace(ptr=7)), (9,) * others
    with pytest.raises(RuntimeError):
        kernel(1, 1, [1, 2], mine)
    with pytest.raises(struct.error):
        kernel(1, 1, [1, 2], (*mine[1:], "no number"))
    kernel(1, 1, [1, 2], mine)
    kernel(1, 1, [6, 7], mine)
    assert queued == [[1, 2, *mine], None, [3, 4] + [5] * others, [1, 2, *mine], [6, 7, *mine]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_arguments_are_packed_as_the_kernel_declares_them(monkeypatch, dtype):
    import gpu_upsample as gu

    x = np.zeros((5, 400), dtype)
    fill = {"border": "constant", "fill_value": 5}
    ((_, arguments, packed),) = launched_by(monkeypatch, lambda: gu.resize(twin.to_twin(x), size=(10, 800), **fill))
    assert packed == list(arguments)
    assert arguments[-1] == 5
    assert max(arguments) >= 2**63  # where the first span begins, before the row: modulo 2**64


def test_a_fill_value_of_all_bits_is_packed(monkeypatch):
    import gpu_upsample as gu

    x = twin.to_twin(np.zeros((5, 6), "uint64"))
    options = {"method": "nearest", "border": "constant", "fill_value": 2**64 - 1, "box": ((-1, 6), (0, 6))}
    ((_, arguments, packed),) = launched_by(monkeypatch, lambda: gu.resize(x, size=(10, 12), **options))
    assert packed == list(arguments)
    assert arguments[-1] == 2**64 - 1


def test_a_cubin_is_compiled_once_and_kept_on_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("GPU_UPSAMPLE_CACHE_DIR", str(tmp_path / "deep" / "cache"))
    code, name = compiling.cubin_of(SPEC, (9, 0))
    assert code[:4] == b"\x7fELF"
    assert name.encode() in code
    (file,) = (tmp_path / "deep" / "cache").iterdir()
    assert file.suffix == ".cubin"
    if os.name != "nt":
        umask = os.umask(0)
        os.umask(umask)
        assert file.stat().st_mode & 0o777 == 0o666 & ~umask  # others may use it, too
    file.write_bytes(file.read_bytes()[:10])  # torn: compiled again
    code, name = compiling.cubin_of(SPEC, (9, 0))
    assert code[:4] == b"\x7fELF"
    monkeypatch.setattr(compiling, "ptx_of", lambda *_: pytest.fail("compiled again"))
    assert compiling.cubin_of(SPEC, (9, 0)) == (code, name)
    with pytest.raises(pytest.fail.Exception):
        compiling.cubin_of(SPEC, (8, 0))


@pytest.mark.skipif(os.name == "nt", reason="folders have other rights there")
def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("GPU_UPSAMPLE_CACHE_DIR", str(blocked))
    assert compiling.cubin_of(SPEC, (9, 0))[0][:4] == b"\x7fELF"


def test_another_source_is_another_cache_entry(monkeypatch):
    before = compiling._fingerprint()
    monkeypatch.setattr(compiling, "version", lambda package: "0")
    compiling._fingerprint.cache_clear()
    try:
        assert compiling._fingerprint() != before
    finally:
        compiling._fingerprint.cache_clear()


def test_specialisations_have_distinct_digests():
    one = FilterSpec("float32", "float32", "ring", 2, "span", 2, 2, 2, 1, 1, 1, 4, False, False)
    other = replace(one, wide=True)
    assert digest(repr(one).encode()) != digest(repr(other).encode())


# (rows read, rows written, source rows that one needs, threads with strips of one row) -> rows of a strip
STRIPS = {
    "many threads: as long as a strip may be": ((1080, 2160, 2, 48), 8),
    "deep windows: longer, to read fewer rows twice": ((1080, 2160, 4, 48), 16),
    "few threads: one row each": ((32, 64, 2, 0.02), 1),
    "no more than there are": ((3, 6, 2, 48), 6),
    "a thumbnail: a compromise": ((1080, 224, 29, 2.4), 4),
}


@pytest.mark.parametrize(("case", "expected"), STRIPS.values(), ids=STRIPS)
def test_rows_of_a_strip(case, expected):
    assert strip_rows(*case) == expected


def test_indices_of_threads_beyond_the_end_count():
    step = plan_resize((2**16, 2**15 - 1), "uint8", 0, "clamp", 2**17, None, 0, "linear", *DEFAULTS).steps[0]
    assert np.prod(step.shape_out) < 2**32 <= np.prod(step.shape_out) + 2**17
    assert not is_wide(step, 1)
    assert is_wide(step, 2**10)


def test_tables_are_there_when_they_are_uploaded(monkeypatch):
    waited = []

    @contextmanager
    def stream(non_blocking):
        yield SimpleNamespace(synchronize=lambda: waited.append(non_blocking))

    monkeypatch.setattr(twin_memory.CUPY.cuda, "Stream", stream)
    with twin_memory.installed(None):
        memory.upload((np.arange(3, dtype=np.uint32),))
    assert waited == [True]


def test_tables_are_uploaded_in_one_buffer(monkeypatch):
    tables = (np.arange(3, dtype=np.uint32), np.full((2, 5), np.pi), np.ones(1, np.uint8), np.eye(3)[:, 1])
    copied = []
    asarray = twin_memory.CUPY.asarray
    monkeypatch.setattr(twin_memory.CUPY, "asarray", lambda x: copied.append(x.nbytes) or asarray(x))
    with twin_memory.installed(None):
        uploaded = memory.upload(tables)
        addresses = uploaded.addresses
    assert len(copied) == 1
    assert [address - addresses[0] for address in addresses] == [0, 256, 512, 768]
    for table, array in zip(tables, uploaded.arrays, strict=True):
        np.testing.assert_array_equal(np.asarray(array), table.ravel())


def test_shapes_of_known_lengths_upload_nothing(monkeypatch):
    uploads = []
    upload = memory.upload
    monkeypatch.setattr(memory, "upload", lambda arrays: uploads.append(len(arrays)) or upload(arrays))

    def run(*shape):
        uploads.clear()
        x = twin_memory.to_twin(np.zeros(shape, np.float32))
        gu.interpolate(x, (37, 41), mode="bilinear", antialias=True)
        return len(uploads)

    with twin_memory.installed(lambda *arguments: None):
        assert run(1, 1, 93, 85) == 2
        assert run(1, 1, 77, 69) == 2
        assert run(1, 1, 93, 69) == 0
        assert run(2, 3, 77, 85) == 0


@pytest.mark.gpu  # where CuPy is
def test_what_a_call_costs_the_host_is_found_without_a_device():
    assert [name for name, seconds in host_cost.costs(1, 1) if seconds > 0] == [*host_cost.CASES]
