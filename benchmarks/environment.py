"""Where a run took place: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gpu_upsample.cpu.processors import num_threads

_PACKAGES = (
    "gpu-upsample", "numpy", "numba", "torch", "opencv-python-headless", "pillow", "scikit-image", "scipy",
    "numba-cuda", "cupy-cuda12x", "cupy-cuda13x",
)  # fmt: skip


def commit() -> str | None:
    """Return the commit that was measured, or None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def machine(place: str) -> dict[str, Any]:
    """Return what the figures depend on: processor, threads, and the device of backend "cuda"."""
    facts: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": {"gpu_upsample": num_threads()},
    }
    # Only of libraries that the run has imported.
    if torch := sys.modules.get("torch"):
        facts["threads"]["torch"] = torch.get_num_threads()
    if cv2 := sys.modules.get("cv2"):
        facts["threads"]["OpenCV"] = cv2.getNumThreads()
    if place == "cuda":
        runtime = import_module("cupy").cuda.runtime
        properties = runtime.getDeviceProperties(runtime.getDevice())
        facts["device"] = {
            "name": properties["name"].decode(),
            "compute_capability": f"{properties['major']}.{properties['minor']}",
            "memory_bytes": properties["totalGlobalMem"],
            "driver": _driver(),
            "cuda_driver": runtime.driverGetVersion(),
            "cuda_runtime": runtime.runtimeGetVersion(),
        }
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()[0].strip()


def versions() -> dict[str, str]:
    """Return the versions of what is installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
