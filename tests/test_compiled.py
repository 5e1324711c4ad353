"""Kernels on disk: a second process compiles none of them, and loads nothing that only compiling takes."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.caching import NullCache

from gpu_upsample.cpu import compiled
from gpu_upsample.garbage import uncollected

ROOT = Path(__file__).resolve().parent.parent

KERNELS = """
from gpu_upsample.cpu.arguments import unpack
from gpu_upsample.cpu.compiled import Kernel, compiled

@Kernel
def fill(first, last, arguments, scratch):
    out, value = unpack(arguments, scratch)
    for row in range(first, last):
        out[row] = value

@compiled
def double(x):
    for i in range(len(x)):
        x[i] += x[i]

@compiled
def ratio(x, y):
    return x / y
"""

RUN = """
import sys
import numpy as np
from numba.core import event
from gpu_upsample.cpu.work import work
from kernels import double, fill, ratio

x = np.arange(3.0)
y = np.zeros(3)
with event.install_recorder("numba:run_pass") as compilations:
    double(x)
    work(fill, y, np.float64(7), rows=3).run()
    quotients = [ratio(1.0, 0.0)]
kept = not compilations.buffer, "numba.np.arraymath" not in sys.modules
if sys.argv[1:]:
    quotients.append(ratio(1, 2))  # a signature that is not on disk
print(*kept, x, y, quotients)
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    path = os.pathsep.join(map(str, (ROOT, tmp_path)))
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(tmp_path / "disk")}

    def printed(*arguments: str) -> str:
        command = [sys.executable, "-c", RUN, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert printed() == "False False [0. 2. 4.] [7. 7. 7.] [inf]"
    assert printed() == "True True [0. 2. 4.] [7. 7. 7.] [inf]"
    assert printed("another") == "True True [0. 2. 4.] [7. 7. 7.] [inf, 0.5]"


def test_processes_that_compile_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = (compiled._Files(str(tmp_path), "kernel", "stamp") for _ in range(2))
    write = ours._save_data

    def write_later(name: str, data: Any) -> None:
        theirs.save("another", "code of another")
        write(name, data)

    monkeypatch.setattr(ours, "_save_data", write_later)
    ours.save("one", "code of one")
    for files in (ours, theirs, compiled._Files(str(tmp_path), "kernel", "stamp")):
        assert files.load("one") == "code of one"
        assert files.load("another") == "code of another"
    assert compiled._Files(str(tmp_path), "kernel", "another stamp").load("one") is None


CALL = """
import numpy as np
from numba.core import event

import gpu_upsample as gu

with event.install_recorder("numba:run_pass") as compilations:
    gu.resize(np.zeros(3, np.float32), 6)
print(bool(compilations.buffer))
"""


def test_kernels_in_an_archive(tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "package"), "zip", ROOT, "gpu_upsample")
    path = str(tmp_path / "package.zip")
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(tmp_path / "disk")}
    command = [sys.executable, "-c", CALL + "print(gu.__file__)"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    compiles, file = done.stdout.splitlines()
    assert compiles == "True"
    assert file.startswith(path)


def test_a_change_of_what_kernels_are_built_from_compiles_them_anew(tmp_path: Path) -> None:
    package = tmp_path / "gpu_upsample"
    shutil.copytree(ROOT / "gpu_upsample", package, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "disk")}

    def compiles() -> str:
        command = [sys.executable, "-c", CALL]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert [compiles(), compiles()] == ["True", "False"]
    for source in ("arithmetic/half.py", "cpu/vectors.py", "plan/dtypes.py"):
        with (package / source).open("a") as file:
            file.write("# a change\n")
        assert [compiles(), compiles()] == ["True", "False"]
    with (package / "plan" / "taps.py").open("a") as file:  # no part of a kernel
        file.write("# a change\n")
    assert compiles() == "False"


def test_no_garbage_is_collected_while_a_kernel_compiles() -> None:
    def largest(array: Any) -> Any:
        total = array[0]
        for i in range(1, array.size):
            total = max(total, array[i] * array[i - 1])
        return total

    looked: list[str] = []
    kernel = compiled.compiled(largest)
    kernel._cache = NullCache()
    gc.callbacks.append(lambda phase, info: looked.append(phase))
    try:
        assert kernel(np.arange(4.0)) == 6
        assert looked.count("start") <= 1  # when it is over
        gc.collect()
        assert looked
    finally:
        gc.callbacks.pop()


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_collected_afterwards_if_it_was_before(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with uncollected():
            with pytest.raises(ZeroDivisionError), uncollected():
                1 / 0  # noqa: B018
            assert not gc.isenabled()  # another thread may still compile
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
