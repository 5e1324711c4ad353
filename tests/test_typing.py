"""The types of public functions: names that are checked, and results of the type that was given."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import get_args

import pytest

from gpu_upsample import dispatch, typing
from gpu_upsample.plan import borders, conv_transpose, coordinates, resample, shapes

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("names", "table"),
    [
        (typing.Mode, resample.MODES),
        (typing.Method, resample.METHODS),
        (typing.Coordinates, coordinates.COORDINATES),
        (typing.Border, borders.BORDERS),
        (typing.Rounding, resample.ROUNDINGS),
        (typing.DataFormat, shapes.SPATIAL),
        (typing.Precision, conv_transpose.PRECISIONS),
        (typing.Backend, ("auto", *dispatch.BACKENDS)),
    ],
)
def test_type_checkers_know_every_name(names: object, table: Collection[str]) -> None:
    assert sorted(get_args(names)) == sorted(table)


RIGHT = """
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import gpu_upsample as gu

Singles = NDArray[np.float32]


def check(x: Singles, weight: Singles, indices: NDArray[np.int64], anything: Any) -> None:
    assert_type(gu.interpolate(x, scale_factor=2, mode="bilinear"), Singles)
    assert_type(gu.resize(x, np.array([3, 4]), method=("linear", "cubic"), axes=np.int64(0)), Singles)
    assert_type(gu.resize(x, scale=np.float32(2), box=[(0, 1.5)], out=x), Singles)
    assert_type(gu.resize_backward(x, x.shape, [4, 4], border="extrapolate"), Singles)
    assert_type(gu.max_pool2d(x, np.int64(2)), Singles)
    pooled, _ = gu.max_pool2d(x, (2, 2), return_indices=True)
    assert_type(pooled, Singles)
    assert_type(gu.max_pool2d(x, 2, None, 0, 1, False, True), tuple[Singles, Any])
    assert_type(gu.fold(gu.unfold(x, 2), (4, 4), 2), Singles)
    assert_type(gu.compat.opencv.resize(x, (4, 4)), Singles)
    assert_type(gu.max_unpool2d(x, indices, 2, output_size=[5, 5]), Singles)
    assert_type(gu.conv_transpose2d(x, weight, stride=[2, 1], groups=np.int8(1)), Singles)
    assert_type(gu.pixel_shuffle(x, range(2, 4)), Singles)
    assert_type(gu.nn.Upsample(size=(2, 3), mode="bicubic")(x), Singles)
    assert_type(gu.nn.ConvTranspose2d(3, np.int64(8), 2)(x, backend="cpu"), Singles)
    assert_type(gu.interpolate(anything, 3), Any)
    assert_type(gu.compat.pillow.resize(x, (3, 4), gu.compat.pillow.BICUBIC), Singles)
"""

WRONG = """
from typing import Any

import gpu_upsample as gu


def check(x: Any) -> None:
    gu.interpolate(x, 3, mode="foo")
    gu.resize(x, 3, method="lanczos9")
    gu.resize(x, 3, method=("linear", "foo"))
    gu.resize(x, "3")
    gu.resize(x, 3.5)
    gu.resize(x, 3, border="mirror")
    gu.resize(x, 3, backend="rocm")
    gu.max_pool2d(x, 2.5)
    gu.conv_transpose2d(x, x, data_format="NCHW")
    gu.use_backend("gpu")
    gu.nn.Upsample(2, mode="foo")
    gu.compat.onnx.resize(x, sizes=[3], mode="area")
    gu.compat.jax.resize(x, (3,), "foo")
"""


def reports_of(code: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what mypy says, with the settings of the project."""
    api = pytest.importorskip("mypy.api")
    path.write_text(code)
    monkeypatch.chdir(ROOT)
    out, error, _ = api.run([str(path), "--config-file", "pyproject.toml", "--no-error-summary"])
    assert not error
    return out.splitlines()


@pytest.mark.slow
def test_what_type_checkers_accept_and_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reports_of(RIGHT, tmp_path / "right.py", monkeypatch) == []
    reports = reports_of(WRONG, tmp_path / "wrong.py", monkeypatch)
    refused = {int(report.split(":")[1]) for report in reports if ": error:" in report}
    assert refused == {number for number, line in enumerate(WRONG.splitlines(), 1) if line.startswith("    gu.")}
