"""What a run found: as a table on the terminal, as JSON, as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks import environment

Record = dict[str, Any]

SCHEMA = 1


def document(
    place: str, quick: bool, peers: Sequence[str], absent: Mapping[str, str], cases: Sequence[Record]
) -> Record:
    """Return the whole run, ready for JSON.

    Parameters
    ----------
    place : {"cpu", "cuda"}
        The backend.
    quick : bool
        Whether shapes were small and rounds few, so that the figures mean nothing.
    peers : sequence of str
        The libraries that took part.
    absent : mapping
        Peer that could not take part -> why.
    cases : sequence of dict
        What `compare.compare` returned.
    """
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": environment.commit(),
        "backend": place,
        "quick": quick,
        "machine": environment.machine(place),
        "versions": environment.versions(),
        "peers": list(peers),
        "absent": dict(absent),
        "cases": list(cases),
    }


def write_json(run: Record, path: Path) -> None:
    """Write the run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# ---- terminal -----------------------------------------------------------------------------------------------
def print_table(run: Record) -> None:
    """Print one line per case: our time, its share of copy bandwidth, and how many times as long each peer takes."""
    peers = _columns(run)
    header = ["case", "ms", "copy", *peers]
    rows = [_row(case, peers) for case in run["cases"]]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _print_plain(header, rows)
    else:
        table = Table(box=None, header_style="bold", padding=(0, 1))
        for column in header:
            table.add_column(column, justify="left" if column == "case" else "right", no_wrap=True)
        for row in rows:
            table.add_row(*row[:3], *map(_coloured, row[3:]))
        # A table in a file or a pipe is not cut at 80 columns.
        console = Console(highlight=False)
        console = console if console.is_terminal else Console(highlight=False, width=200)
        console.print(table)
    print(
        "\nms: our time. copy: time of copying an array of the output's size (the input's, where that is larger), "
        "in parts of ours.\nPeers: their time in parts of ours; above 1 we are faster."
    )
    if run["quick"]:
        print("A quick run: small arrays and few rounds. The figures mean nothing.")
    for note in _notes(run):
        print(note)


def _columns(run: Record) -> list[str]:
    """Return the peers that offer something in the cases of a run."""
    return [name for name in run["peers"] if any(name in case.get("peers", ()) for case in run["cases"])]


def _row(case: Record, peers: Sequence[str]) -> list[str]:
    if "error" in case:
        return [case["name"], "error", "", *("" for _ in peers)]
    return [
        case["name"],
        f"{1e3 * case['ours']['median']:.3g}",
        f"{case['copy_fraction']:.2f}",
        *(_cell(case["peers"].get(name)) for name in peers),
    ]


def _cell(entry: Record | None) -> str:
    if entry is None:
        return "–"
    return f"{entry['ratio']:.2f}" if entry["status"] == "compared" else entry["status"]


def _coloured(cell: str) -> str:
    try:
        return f"[{'green' if float(cell) >= 1 else 'red'}]{cell}"
    except ValueError:
        return f"[dim]{cell}"


def _print_plain(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        name, *cells = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([name, *cells]))


def _notes(run: Record) -> list[str]:
    notes = [f"{name}: {reason}" for name, reason in run["absent"].items()]
    for case in run["cases"]:
        if "error" in case:
            notes.append(f"{case['name']}: {case['error']}")
        for name, entry in case.get("peers", {}).items():
            if entry["status"] == "differs":
                apart = f"{entry['difference']:.3g} where {case['tolerance']:.3g} is allowed"
                notes.append(f"{case['name']}: {name} differs by {apart}")
            elif entry["status"] == "fails":
                notes.append(f"{case['name']}: {name} fails, {entry['reason']}")
    return notes


# ---- plot ---------------------------------------------------------------------------------------------------
_MARKS = (("o", "#0b62a4"), ("s", "#e07b00"), ("^", "#6a3d9a"), ("D", "#1b8a5a"), ("v", "#c2334d"))


def plot(run: Record, path: Path) -> None:
    """Draw the ratios, on a logarithmic axis, and the fractions of copy bandwidth."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cases = [case for case in run["cases"] if "error" not in case]
    figure = Figure(figsize=(12, 1.8 + 0.3 * len(cases)), layout="constrained")
    FigureCanvasAgg(figure)  # no window system is asked for
    ratios, copies = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    rows = range(len(cases))
    for name, (shape, colour) in zip(_columns(run), cycle(_MARKS), strict=False):
        points = [
            (entry["ratio"], row)
            for row, case in zip(rows, cases, strict=True)
            if "ratio" in (entry := case["peers"].get(name, {}))
        ]
        if points:
            ratios.plot(*zip(*points, strict=True), shape, color=colour, markersize=7, label=name)
    ratios.axvline(1, color="#444444", linewidth=1)
    ratios.set(xscale="log", xlabel="time of the peer / time of gpu_upsample (above 1 we are faster)")
    ratios.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ratios.set_yticks(rows, [case["name"] for case in cases], fontsize=9)
    ratios.set_ylim(len(cases) - 0.5, -0.5)
    copies.barh(rows, [case["copy_fraction"] for case in cases], color="#9db7c9", height=0.6)
    copies.axvline(1, color="#444444", linewidth=1)
    copies.set_xlabel("fraction of copy bandwidth")
    for axes in (ratios, copies):
        axes.grid(axis="x", which="both", color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
    if ratios.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper right", ncols=len(_MARKS), frameon=False)
    figure.suptitle(_title(run), x=0.01, ha="left", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _title(run: Record) -> str:
    machine = run["machine"]
    where = machine["device"]["name"] if "device" in machine else f"{machine['processor']}, {machine['cores']} cores"
    quick = " · QUICK RUN, no meaning" if run["quick"] else ""
    return f"gpu_upsample {run['versions'].get('gpu-upsample', '')} · {where} · {run['date'][:10]}{quick}"
