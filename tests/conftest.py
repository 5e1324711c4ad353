"""What all tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from gpu_upsample.cpu import threads
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


@pytest.fixture
def use_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | str], None]:
    """What sets the number of threads on the CPU, for work of any size."""
    monkeypatch.setattr(threads, "_EACH_BYTES", 1)
    return lambda number: monkeypatch.setenv("GPU_UPSAMPLE_NUM_THREADS", str(number))


@pytest.fixture(scope="session", params=[pytest.param(cls, marks=cls.marks, id=cls.name) for cls in DEVICES])
def device(request: pytest.FixtureRequest) -> Any:
    """Whatever runs the CUDA kernels, in turn."""
    return request.param()
