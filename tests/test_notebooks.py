"""The notebooks run from top to bottom, and what is stored in them came from such a run."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
# The font manager fills its cache when it is first imported: here, since it says so on stderr.
for needed in ("ipykernel", "matplotlib.font_manager", "skimage"):
    pytest.importorskip(needed)

from jupyter_client.kernelspec import KernelSpec  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
_LARGEST = 1_500_000  # bytes: a picture belongs in a notebook, a gallery does not
_SLOWEST = 60  # seconds
# torch's own sums depend on the processor in the last place; over many steps of training, these places add up.
_TRAINING = {"03_training.ipynb": 0.02}
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


class ThisPython(AsyncKernelManager):
    """Starts a kernel of the running interpreter, whatever kernels are registered on the machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=[*start, "--IPKernelApp.log_level=ERROR"], language="python")


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def printed(notebook: Any) -> str:
    """Return all text: what a figure shows may differ between versions of matplotlib, and streams come in pieces."""
    return "".join(output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs(notebook))


def parted(text: str) -> tuple[list[str], list[float]]:
    """Return what stands between the numbers of a text, and the numbers."""
    return _NUMBER.split(text), [float(number) for number in _NUMBER.findall(text)]


def test_a_notebook_runs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    stored = printed(notebook)
    client = nbclient.NotebookClient(
        notebook,
        kernel_manager_class=ThisPython,
        timeout=_SLOWEST,
        resources={"metadata": {"path": str(ROOT)}},
    )
    start = perf_counter()
    client.execute()
    assert perf_counter() - start < _SLOWEST
    (words, numbers), (stored_words, stored_numbers) = parted(printed(notebook)), parted(stored)
    assert words == stored_words, "run it again and save it"
    assert numbers == pytest.approx(stored_numbers, rel=_TRAINING.get(path.name, 0.0)), "run it again and save it"
    assert [output.text for output in outputs(notebook) if output.get("name") == "stderr"] == []  # a warning


def test_what_is_stored_of_a_notebook(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size <= _LARGEST
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))
    assert not any(output.output_type == "error" for output in outputs(notebook))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run it from top to bottom"
