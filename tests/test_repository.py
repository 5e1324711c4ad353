"""What the files around the package promise."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import numpy as np
import pytest

import gpu_upsample as gu

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def tracked_files() -> list[Path]:
    """Return the files of the repository, with those that are about to be added."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_the_examples_of_the_readme() -> None:
    failed, attempted = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert attempted > 10
    assert failed == 0


def test_the_commands_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    testing = pytest.importorskip("click.testing")
    image = pytest.importorskip("PIL.Image")
    from gpu_upsample.cli.commands import main

    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("photo.jpg", "photos/a.jpg"):
        image.new("RGB", (40, 30), "orange").save(name)
    image.new("RGBA", (40, 30), "#ffa50080").save("logo.png")
    commands = re.findall(r"^\$ gpu-upsample (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        result = testing.CliRunner().invoke(main, shlex.split(command))
        assert result.exit_code == 0, f"{command}: {result.output}"


def replacements() -> list[tuple[str, str]]:
    """Return the rows of the README's table of other functions: their call, and the one that replaces it."""
    table = (ROOT / "README.md").read_text().partition("## Coming from other functions")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| `")]
    calls = [[re.findall(r"`([^`]*)`", cell) for cell in row] for row in rows]
    return [(old, new) for olds, news in calls for old in olds for new in news]


@pytest.mark.parametrize(("old", "new"), replacements())
def test_what_replaces_other_functions_gives_the_same(old: str, new: str) -> None:
    for module in ("scipy.ndimage", "skimage.measure", "skimage.transform", "torch", "cv2", "PIL.Image"):
        pytest.importorskip(module)
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (24, 36, 3), np.uint8)
    names = {name: import_module(name) for name in ("scipy", "skimage", "torch", "cv2")} | {
        "np": np,
        "gu": gu,
        "x": random.random((12, 18)),
        "image": image,
        "picture": import_module("PIL.Image").fromarray(image),
    }
    names["tensor"] = names["torch"].from_numpy(random.random((2, 3, 12, 18)))
    expected, actual = (np.asarray(eval(call, names)) for call in (old, new))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_there_are_replacements() -> None:
    assert len(replacements()) > 10


def test_one_version() -> None:
    assert gu.__version__ == PROJECT["version"]
    assert f"## [{gu.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_package_says_that_it_is_typed() -> None:
    assert (ROOT / "gpu_upsample/py.typed").exists()


def test_no_file_names_a_path_of_one_machine() -> None:
    folders = ("work", "home", "root", "opt", "Users", "mnt", "private")
    # A path starts at the beginning of a word: `a/home/b` and `https://host/home/` are none.
    absolute = re.compile(rf"(?<![\w./~\]-])/(?:{'|'.join(folders)})/\w")
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in absolute.finditer(text)]
    assert not found


def test_every_make_target_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert targets == {"help", "demo", "test", "lint", "gpu", "bench", "docs", "clean"}
    prose = "".join((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
    assert set(re.findall(r"\bmake (demo|test|lint|gpu|bench|docs|clean|[a-z]+(?=`))", prose)) <= targets


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_make_lists_its_targets() -> None:
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make demo" in done.stdout


def test_the_ci_script_can_be_run() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)


@pytest.mark.parametrize("extra", ["bench", "test"])
def test_reference_libraries_have_the_pinned_versions(extra: str) -> None:
    pins = [line.split("==") for line in PROJECT["optional-dependencies"][extra] if "==" in line]
    assert pins
    for name, version in pins:
        assert metadata.version(name).split("+")[0] == version
