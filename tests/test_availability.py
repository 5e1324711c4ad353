"""Whether the CUDA backend says what it lacks, on a machine that has everything else."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gpu_upsample.cuda import availability


class CUDARuntimeError(RuntimeError):
    pass


def device_count() -> int:
    return 1


def cupy(count: Any = device_count) -> ModuleType:
    """Return a module that answers as CuPy does."""
    module = ModuleType("cupy")
    module.cuda = SimpleNamespace(  # type: ignore[attr-defined]
        runtime=SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceCount=count,
            getDeviceProperties=lambda device: {"name": b"NVIDIA Something", "major": 9, "minor": 0},
            driverGetVersion=lambda: 13000,
        )
    )
    return module


@pytest.fixture(autouse=True)
def everything(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(availability, "_installed", lambda module: True)
    monkeypatch.setitem(sys.modules, "cupy", cupy())
    availability.state.cache_clear()
    yield
    availability.state.cache_clear()


def importing(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    """Let the import of Numba CUDA end so."""
    original = builtins.__import__

    def imported(name: str, *rest: Any) -> Any:
        if name != "numba.cuda":
            return original(name, *rest)
        if error is not None:
            raise error
        return ModuleType("numba")

    monkeypatch.setattr(builtins, "__import__", imported)


def test_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    importing(monkeypatch, None)
    assert availability.state() == (True, "NVIDIA Something, driver 13000")


def test_a_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_installed", lambda module: module != "numba_cuda")
    usable, detail = availability.state()
    assert not usable
    assert detail.startswith("numba-cuda is not installed (pip install 'numpy<2.5' cupy-cuda13x 'numba-cuda[cu13]'")


def test_a_package_does_not_work_with_another(monkeypatch: pytest.MonkeyPatch) -> None:
    importing(monkeypatch, AttributeError("module 'numpy' has no attribute 'row_stack'"))
    expected = "numba-cuda cannot be imported (AttributeError: module 'numpy' has no attribute 'row_stack')"
    assert availability.state() == (False, expected)


def test_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", cupy(lambda: 0))
    assert availability.state() == (False, "there is no CUDA device")


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise CUDARuntimeError("cudaErrorInsufficientDriver")

    monkeypatch.setitem(sys.modules, "cupy", cupy(refused))
    assert availability.state() == (False, "the CUDA driver does not answer (cudaErrorInsufficientDriver)")


def test_a_gpu_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    importing(monkeypatch, None)
    old = {"name": b"NVIDIA Something", "major": 7, "minor": 2}
    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "getDeviceProperties", lambda device: old)
    usable, detail = availability.state()
    assert not usable
    assert detail == "NVIDIA Something has compute capability 7.2; 7.5 or later is needed"
