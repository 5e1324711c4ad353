"""The lowest layer of the CUDA backend, as far as it goes without a driver: packing, compiling, caching."""

from __future__ import annotations

import ctypes
import os
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from cuda import core
from numba import types

from gpu_upsample.cuda import compile as compiling
from gpu_upsample.cuda import launch
from gpu_upsample.cuda.kernels import THREADS, FilterSpec, SelectSpec, filter_signature
from gpu_upsample.cuda.resample import filter_spec
from gpu_upsample.plan.resample import plan_resize
from tests import twin

SPEC = SelectSpec(4, True, False, 0, 0, 0, 0, 1, False, False)
CTYPES = {"float32": ctypes.c_float, "float64": ctypes.c_double}


def launched_by(monkeypatch, call):
    """Return what a call hands to the driver's launch, with everything below it replaced."""
    seen = []
    monkeypatch.setattr(core, "launch", lambda stream, config, kernel, *arguments: seen.append((config, arguments)))
    monkeypatch.setattr(launch, "_stream", lambda handle: handle)
    monkeypatch.setattr(launch, "_kernel", lambda spec, device: spec)
    with twin.installed(launch.launch):
        call()
    return seen


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arguments_are_packed_as_the_kernel_declares_them(monkeypatch, dtype):
    import gpu_upsample as gu

    x = np.zeros((5, 6), dtype)
    fill = {"border": "constant", "fill_value": 0.75}
    ((config, arguments),) = launched_by(monkeypatch, lambda: gu.resize(twin.to_twin(x), size=(10, 12), **fill))
    assert config.block[0] == THREADS
    (step,) = plan_resize(x.shape, dtype, 0.75, "constant", (10, 12), None, None, "linear", False, "half_pixel",
                          "floor", -0.5, None).steps  # fmt: skip
    declared = filter_signature(filter_spec(step, 1, False)).args
    assert len(declared) == len(arguments)
    packer = pytest.importorskip("cuda.core._kernel_arg_handler").ParamHolder(arguments)
    addresses = (ctypes.c_void_p * len(arguments)).from_address(packer.ptr)
    for kind, address, value in zip(declared, addresses, arguments, strict=True):
        packed = CTYPES.get(str(kind), ctypes.c_uint64).from_address(address).value
        assert isinstance(kind, types.CPointer) or str(kind) in ("uint64", dtype)
        assert packed == value
    assert arguments[-1] == 0.75


def test_a_cubin_is_compiled_once_and_kept_on_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("GPU_UPSAMPLE_CACHE_DIR", str(tmp_path / "deep" / "cache"))
    code, name = compiling.cubin_of(SPEC, (9, 0))
    assert code[:4] == b"\x7fELF"
    assert name.encode() in code
    (file,) = (tmp_path / "deep" / "cache").iterdir()
    assert file.suffix == ".cubin"
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
    assert repr(one) != repr(other)
    assert compiling._digest(repr(one)) != compiling._digest(repr(other))
