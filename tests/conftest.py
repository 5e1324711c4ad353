"""What all tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from gpu_upsample.cpu import threads
from gpu_upsample.cpu.processors import usual_threads
from gpu_upsample.dispatch import backend_of_environment
from tests.backends import BACKENDS
from tests.devices import DEVICES

# Compiling makes objects by the million, in use until the kernel is done: to look for garbage among them as often
# as Python does takes long, and finds little.
gc.set_threshold(10_000, 50)

# JAX is a reference here, not a tenant of the GPU.
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# The same examples on every run: a failure is a fact about the code, not about the day.
settings.register_profile(
    "suite",
    deadline=None,  # the first example may compile a kernel
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


@pytest.fixture(scope="session", params=[pytest.param(cls, marks=cls.marks, id=cls.name) for cls in BACKENDS])
def backend(request: pytest.FixtureRequest) -> Any:
    """Every backend in turn."""
    return request.param()


def _forget_environment() -> None:
    for held in (backend_of_environment, usual_threads, threads.pool_of):
        held.cache_clear()


@pytest.fixture
def set_variable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Any], None]]:
    """What sets a variable of the environment of which the package has read others."""

    def change(name: str, value: Any) -> None:
        monkeypatch.setenv(name, str(value))
        _forget_environment()

    yield change
    _forget_environment()


@pytest.fixture
def use_threads(
    monkeypatch: pytest.MonkeyPatch, set_variable: Callable[[str, Any], None]
) -> Callable[[int | str], None]:
    """What sets the number of threads on the CPU, for work of any size."""
    monkeypatch.setattr(threads, "_EACH_BYTES", 1)
    return partial(set_variable, "GPU_UPSAMPLE_NUM_THREADS")


@pytest.fixture(scope="session", params=[pytest.param(cls, marks=cls.marks, id=cls.name) for cls in DEVICES])
def device(request: pytest.FixtureRequest) -> Any:
    """Whatever runs the CUDA kernels, in turn."""
    return request.param()
