"""`compat.torch_uint8` against torch's CPU kernels, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys
from math import floor

import numpy as np
import pytest

from gpu_upsample.compat import torch_uint8
from tests.cases import noise
from tests.tolerances import assert_same_bits

torch = pytest.importorskip("torch")
data = pytest.importorskip("skimage.data")

DRAWS = 200


def expected(x, channels_last=False, **options):
    """Return what torch makes of an array; an NCHW result in either memory format."""
    tensor = torch.from_numpy(x)
    if channels_last:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    return np.ascontiguousarray(torch.nn.functional.interpolate(tensor, **options).numpy())


def batch(shape, random):
    """Return noise, noise of black and white, or a part of a photograph."""
    kind = random.integers(3)
    if kind < 2:
        x = noise(shape, "uint8", int(random.integers(2**31)))
        return np.where(x > 127, 255, 0).astype(np.uint8) if kind else x
    n, channels, height, width = shape
    rows, columns = (random.integers(0, 200, n) for _ in range(2))
    photograph = np.concatenate([data.astronaut()] * -(-channels // 3), axis=-1)[..., :channels]
    parts = [photograph[r : r + height, c : c + width] for r, c in zip(rows, columns, strict=True)]
    return np.ascontiguousarray(np.stack(parts).transpose(0, 3, 1, 2))


def draw(random):
    """Return a random array and options for `interpolate`."""
    modes = [("bilinear", False), ("bilinear", True), ("bicubic", False), ("bicubic", True), ("lanczos", True)]
    mode, antialias = modes[random.integers(len(modes))]
    height, width = (int(n) for n in random.integers(1, 60, 2))
    options = {"mode": mode, "antialias": antialias}
    if mode != "lanczos":
        options["align_corners"] = bool(random.integers(2))
    if random.random() < 0.5:
        scales = tuple(float(s) for s in random.uniform(0.1, 2.5, 2))
        # At least one sample has to be left.
        scales = tuple(max(s, 1 / n) for s, n in zip(scales, (height, width), strict=True))
        options["scale_factor"] = scales
        if random.random() < 0.3:
            options["recompute_scale_factor"] = True
        size = tuple(floor(n * s) for n, s in zip((height, width), scales, strict=True))
    else:
        size = tuple(int(n) for n in random.integers(1, 80, 2))
        size = tuple(n if random.random() < 0.15 else m for n, m in zip((height, width), size, strict=True))
        options["size"] = size
    channels = int(random.integers(1, 7))
    # torch's defect: see the module's notes.
    channels_last = bool(random.integers(2)) or (size[1] == 1 and channels > 4)
    return batch((int(random.integers(1, 3)), channels, height, width), random), options, channels_last


@pytest.mark.parametrize("seed", range(8))
def test_interpolate(seed):
    random = np.random.default_rng(seed)
    for _ in range(DRAWS):
        x, options, channels_last = draw(random)
        try:
            wanted = expected(x, channels_last, **options)
        except RuntimeError:  # a scale factor that torch, too, rounds to nothing
            continue
        result = torch_uint8.interpolate(x, **options)
        assert_same_bits(result, wanted)


def test_photographs_in_both_layouts():
    for photograph in (data.astronaut(), data.coffee()):
        x = np.ascontiguousarray(photograph.transpose(2, 0, 1)[None])
        for mode, antialias in (("bilinear", True), ("bicubic", True), ("bicubic", False)):
            options = {"size": (224, 301), "mode": mode, "antialias": antialias}
            wanted = expected(x, **options)
            assert_same_bits(torch_uint8.interpolate(x, **options), wanted)
            last = torch_uint8.interpolate(photograph[None], **options, data_format="channels_last")
            assert_same_bits(np.ascontiguousarray(last.transpose(0, 3, 1, 2)), wanted)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest(mode):
    """At sizes for which torch's CPU kernels round coordinates as those for CUDA do."""
    random = np.random.default_rng(0)
    for _ in range(100):
        x = batch((1, 3, *random.integers(1, 50, 2)), random)
        size = tuple(int(n) for n in random.integers(1, 65, 2))
        assert_same_bits(torch_uint8.interpolate(x, size, mode=mode), expected(x, size=size, mode=mode))


def test_the_precision_of_the_weights():
    """The smaller the largest weight, the more bits: from 14 to 22."""
    for n in (1, 2, 3, 10, 50, 100, 200, 400, 900, 1800, 5000):
        x = noise((1, 1, 1, n), "uint8")
        for m in (1, 2, 7, 40):
            for mode in ("bilinear", "bicubic", "lanczos"):
                options = {"size": (1, m), "mode": mode, "antialias": True}
                assert_same_bits(torch_uint8.interpolate(x, **options), expected(x, **options))


def test_a_position_that_float32_rounds_up():
    for n, m in [(2**24 // 7, 3), (300_001, 299_993)]:
        x = noise((1, 1, 1, n), "uint8")
        for mode in ("bilinear", "bicubic"):
            options = {"size": (1, m), "mode": mode}
            assert_same_bits(torch_uint8.interpolate(x, **options), expected(x, **options))


def test_torch_gives_one_result_on_every_machine():
    """What the module's notes say; without AVX2 the defect is in every number of channels."""
    code = """
import numpy as np, torch
from tests.test_compat_torch_uint8 import draw, expected
from gpu_upsample.compat import torch_uint8
assert torch.backends.cpu.get_cpu_capability() == "DEFAULT"
random = np.random.default_rng(99)
for _ in range(200):
    x, options, channels_last = draw(random)
    wanted = torch_uint8.interpolate(x, **options)
    if wanted.shape[-1] > 1:
        assert np.array_equal(wanted, expected(x, channels_last, **options)), options
"""
    environment = os.environ | {"ATEN_CPU_CAPABILITY": "default"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_device_gives_the_same_bits(device):
    x = noise((2, 3, 9, 7), "uint8")
    options = {"size": (13, 4), "mode": "bilinear", "antialias": True}
    assert_same_bits(device(torch_uint8.interpolate, x, **options), expected(x, **options))


def test_kinds_of_arrays_and_out():
    x = noise((1, 2, 9, 7), "uint8")
    options = {"size": (13, 4), "mode": "bicubic"}
    wanted = expected(x, **options)
    tensor = torch_uint8.interpolate(torch.from_numpy(x), **options)
    assert isinstance(tensor, torch.Tensor)
    assert_same_bits(tensor.numpy(), wanted)
    out = np.zeros_like(wanted)
    assert torch_uint8.interpolate(x, **options, out=out) is out
    assert_same_bits(out, wanted)
    assert_same_bits(torch_uint8.interpolate(x, (9, 7), mode="bicubic"), x)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"x": np.zeros((1, 1, 3, 3), np.float32)}, TypeError, "uint8"),
        ({"x": np.zeros((1, 3, 3), np.uint8)}, ValueError, "bilinear"),
        ({"mode": "cubical"}, ValueError, "mode"),
        ({"size": 0}, ValueError, "size"),
        ({"scale_factor": 2.0}, ValueError, "scale_factor"),
        ({"data_format": "NHWC"}, ValueError, "data_format"),
    ],
)
def test_errors(options, error, says):
    arguments = {"x": np.zeros((1, 1, 3, 3), np.uint8), "size": 2, "mode": "bilinear"} | options
    with pytest.raises(error, match=says):
        torch_uint8.interpolate(**arguments)
