"""What all tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.backends import BACKENDS

# The same examples on every run: a failure is a fact about the code, not about the day.
settings.register_profile(
    "suite",
    deadline=None,  # the first example may compile a kernel
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


@pytest.fixture(
    scope="session", params=[pytest.param(cls, marks=cls.marks, id=cls.name) for cls in BACKENDS]
)
def backend(request: pytest.FixtureRequest) -> Any:
    """Every backend in turn."""
    return request.param()


@pytest.fixture
def noise() -> Callable[..., Any]:
    """Return a function of a shape, a dtype name and a seed: noise over the whole of a small range."""
    return make_noise


def make_noise(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> Any:
    return None
