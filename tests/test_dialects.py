"""The page on dialects says what the installed libraries do."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

for library in ("cv2", "jax", "onnx", "PIL", "scipy", "torch"):
    pytest.importorskip(library)

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_page_is_what_its_script_writes() -> None:
    written = runpy.run_path(str(DOCS / "dialects.py"))["page"]()
    # How a library rounds depends on the processor, where it does not say.
    inexact = re.compile(r"within \de-0\d levels|[\d.e-]+ % of the values differ, by 1")
    assert inexact.sub("nearly", written) == inexact.sub("nearly", (DOCS / "dialects.md").read_text())


def test_the_pictures_are_there() -> None:
    for name in re.findall(r"\((\w+\.png)\)", (DOCS / "dialects.md").read_text()):
        assert (DOCS / name).stat().st_size > 10_000
