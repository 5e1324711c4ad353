"""What is imported when, and what works without the packages for CUDA; each in a fresh interpreter."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import gpu_upsample as gu

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "numba", "llvmlite", "cupy", "numba_cuda", "cuda", "click", "rich", "ml_dtypes",
    "PIL", "cv2", "jax", "keras", "onnx", "paddle", "tensorflow", "torch",
)  # fmt: skip

LOADED = f"""
import json, sys
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""

# Refuses the packages for CUDA as if they were not installed.
BLOCK = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("cupy", "numba_cuda", "cuda", "cupy_backends") or name == "numba.cuda":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""


def run(code: str) -> str:
    """Run code in an interpreter that reads no .pth file: numba-cuda puts itself in the place of numba.cuda there."""
    paths = [str(ROOT), *map(sysconfig.get_path, ("purelib", "platlib")), *site.getsitepackages()]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GPU_UPSAMPLE_", "PYTHON", "COVERAGE"))}
    done = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", code],
        env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(code: str) -> list[str]:
    return json.loads(run(code + LOADED).splitlines()[-1])


def test_the_interpreter_of_these_tests_knows_no_redirector() -> None:
    assert run("import sys; print('_numba_cuda_redirector' in sys.modules)").strip() == "False"


def test_the_check_can_fail() -> None:
    assert loaded_by("import numba") == ["numba", "llvmlite"]


@pytest.mark.parametrize(
    "code",
    [
        "import gpu_upsample",
        "import gpu_upsample as gu; dir(gu); gu.__version__; gu.BackendUnavailableError; gu.use_backend",
        "from gpu_upsample import interpolate, resize",
        "import gpu_upsample.plan.resample, gpu_upsample.dispatch, gpu_upsample.arrays",
        "import gpu_upsample as gu; gu.available_backends(); gu.check_errors(); gu.show_info()",
        "from gpu_upsample.compat import jax, keras, onnx, opencv, paddle, pillow, tensorflow, torch_uint8",
    ],
    ids=["package", "names", "operators", "plan", "backends", "compat"],
)
def test_importing_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code) == []


def test_an_operator_loads_what_it_needs_when_it_is_called() -> None:
    code = """
import sys, numpy as np
from gpu_upsample import interpolate
print([name for name in sys.modules if name.startswith(("gpu_upsample.plan.", "gpu_upsample.cpu"))])
interpolate(np.zeros((1, 1, 3)), 6)
print([name for name in sys.modules if name.startswith(("gpu_upsample.cpu.conv", "gpu_upsample.cpu.pooling"))])
"""
    assert run(code).splitlines() == ["['gpu_upsample.plan.cache', 'gpu_upsample.plan.dtypes']", "[]"]


def test_an_error_loads_no_compiler() -> None:
    code = """
import numpy as np, gpu_upsample as gu
try:
    gu.resize(np.zeros(3), -1)
except ValueError:
    pass
"""
    assert loaded_by(code) == []


def test_the_cpu_loads_nothing_for_cuda() -> None:
    code = """
import numpy as np, gpu_upsample as gu
gu.resize(np.zeros(3), 6)
"""
    assert loaded_by(code) == ["numba", "llvmlite"]


def test_the_cpu_works_without_the_packages_for_cuda() -> None:
    code = """
import numpy as np, gpu_upsample as gu
print(gu.resize(np.array([0.0, 1.0]), 4).tolist())
print(gu.interpolate(np.array([[[1, 2]]], np.uint8), scale_factor=2).tolist())
print(gu.available_backends())
gu.show_info()
try:
    gu.resize(np.zeros(3), 6, backend="cuda")
except gu.BackendUnavailableError as error:
    print(error)
"""
    printed = run(BLOCK + code).splitlines()
    assert printed[:3] == ["[0.0, 0.25, 0.75, 1.0]", "[[[1, 1, 2, 2]]]", "('cpu',)"]
    assert any("cuda" in line and "not available" in line for line in printed)
    assert "pip install" in printed[-1]


@pytest.mark.parametrize("module", [gu, gu.compat, gu.nn], ids=lambda module: module.__name__)
def test_dir_lists_the_public_names(module: Any) -> None:
    pytest.importorskip("torch")  # which a module of `compat` imports
    assert sorted(name for name in dir(module) if not name.startswith("__")) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name).__doc__


def test_the_types_of_arguments_are_at_hand() -> None:
    assert run("import gpu_upsample as gu; print('box' in gu.typing.Method.__args__)").strip() == "True"


@pytest.mark.parametrize("name", gu.compat.__all__)
def test_every_module_of_another_library_names_its_own(name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch")
    module = getattr(gu.compat, name)
    for public in module.__all__:
        value = getattr(module, public)
        assert getattr(value, "__module__", module.__name__).startswith((module.__name__, "types"))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing
