"""What a run found: as a table on the terminal, as JSON, as a plot."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks import environment, roofline
from benchmarks.targets import Record

SCHEMA = 2


def document(
    place: str,
    quick: bool,
    peers: Sequence[str],
    absent: Mapping[str, str],
    cases: Sequence[Record],
    figures: Sequence[Record],
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
    figures : sequence of dict
        What `figures.Figure.record` returned.
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
        "figures": list(figures),
    }


def write_json(run: Record, path: Path) -> None:
    """Write the run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# ---- terminal -----------------------------------------------------------------------------------------------
_LARGE = 1 << 26  # bytes beyond most caches
_COLOURS = {"pass": "green", "fail": "red", "error": "red"}


def print_run(run: Record) -> None:
    """Print the cases, the other figures, and how many targets are met."""
    peers = _columns(run)
    if run["cases"]:
        _print_table(
            ["case", "ms", "copy", "floor", *peers, "targets", ""], [_row(case, peers) for case in run["cases"]]
        )
        print(
            "\nms: our time. copy: our time in parts of that of copying an array of the output's size (the input's,\n"
            "where that is larger). floor: the time that its bytes take at the speed of that copy, in parts of ours.\n"
            "Peers: their time in parts of ours; above 1 we are faster."
        )
        if speeds := [roofline.bandwidth(case) / 1e9 for case in run["cases"] if case.get("bytes", 0) >= _LARGE]:
            print(f"Copies of large arrays moved {min(speeds):.0f} to {max(speeds):.0f} GB/s, read and written.")
    if run["figures"]:
        print()
        _print_table(["figure", "", "", "targets", ""], [_figure_row(figure) for figure in run["figures"]])
        print()
        for figure in run["figures"]:
            if details := figure.get("details"):
                print(f"{figure['name']}: " + ", ".join(f"{name} {value:.3g}" for name, value in details.items()))
    for note in _notes(run):
        print(note)
    print("\n" + "\n".join(_summary(run)))


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column and the last ones, from the targets on, are words."""
    words = {0, *range(header.index("targets"), len(header))}
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _print_plain(header, rows, words)
        return
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for number, column in enumerate(header):
        table.add_column(column, justify="left" if number in words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(_coloured(cell) for cell in row))
    # A table in a file or a pipe is not cut at 80 columns.
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=240)
    console.print(table)


def _columns(run: Record) -> list[str]:
    """Return the peers that offer something in the cases of a run."""
    return [name for name in run["peers"] if any(name in case.get("peers", ()) for case in run["cases"])]


def _row(case: Record, peers: Sequence[str]) -> list[str]:
    if "error" in case:
        return [case["name"], "error", "", "", *("" for _ in peers), _targets(case), _verdict(case)]
    return [
        case["name"],
        f"{1e3 * case['ours']['median']:.3g}",
        f"{case['copy_ratio']:.2f}",
        f"{case['floor_fraction']:.2f}",
        *(_cell(case["peers"].get(name)) for name in peers),
        _targets(case),
        _verdict(case),
    ]


def _figure_row(figure: Record) -> list[str]:
    if "error" in figure:
        return [figure["name"], "error", figure["unit"], _targets(figure), _verdict(figure)]
    return [figure["name"], f"{figure['value']:.3g}", figure["unit"], _targets(figure), _verdict(figure)]


def _cell(entry: Record | None) -> str:
    if entry is None:
        return "–"
    return f"{entry['ratio']:.2f}" if entry["status"] == "compared" else entry["status"]


def _targets(record: Record) -> str:
    return ", ".join(f"{_named(record, verdict)}{_bound(verdict)}" for verdict in record["verdicts"])


def _named(record: Record, verdict: Record) -> str:
    """Return what a target bounds; of a figure, that is in the column beside it."""
    return "" if verdict["of"] == record.get("unit") else f"{verdict['of']} "


def _bound(verdict: Record) -> str:
    return f"{'≥' if verdict['least'] else '≤'} {verdict['bound']:g}"


def _verdict(record: Record) -> str:
    if not record["verdicts"]:
        return ""
    return "pass" if all(verdict["met"] for verdict in record["verdicts"]) else "fail"


def _coloured(cell: str) -> str:
    colour = _COLOURS.get(cell)
    return f"[{colour}]{cell}" if colour else cell


def _print_plain(header: Sequence[str], rows: Sequence[Sequence[str]], words: Collection[int]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = (
            cell.ljust(width) if i in words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells))


def _summary(run: Record) -> list[str]:
    """Return how many targets are met, and which are not."""
    if run["quick"]:
        return ["A quick run: small arrays and few rounds. The figures mean nothing."]
    judged = [(record, verdict) for record in (*run["cases"], *run["figures"]) for verdict in record["verdicts"]]
    missed = [pair for pair in judged if not pair[1]["met"]]
    lines = [f"{len(judged) - len(missed)} of {len(judged)} targets met{'; missed:' if missed else '.'}"]
    for record, verdict in missed:
        value = "none" if verdict["value"] is None else f"{verdict['value']:.3g}"
        lines.append(f"  {record['name']}: {_named(record, verdict)}{value}, aimed at {_bound(verdict)}")
    return lines


def _notes(run: Record) -> list[str]:
    notes = [f"{name}: {reason}" for name, reason in run["absent"].items()]
    for case in (*run["cases"], *run["figures"]):
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
_MARKS = (("o", "#0b62a4"), ("s", "#e07b00"), ("^", "#6a3d9a"), ("D", "#1b8a5a"), ("v", "#6b7078"))


_MISSED = "#d0021b"


def plot(run: Record, path: Path) -> None:
    """Draw the ratios, on a logarithmic axis, and the fractions of the memory's speed, with the targets of both."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cases = [case for case in run["cases"] if "error" not in case]
    figure = Figure(figsize=(12, 1.8 + 0.3 * len(cases)), layout="constrained")
    FigureCanvasAgg(figure)  # no window system is asked for
    ratios, fractions = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    for name, mark in zip(_columns(run), cycle(_MARKS), strict=False):
        _draw_peer(ratios, cases, name, *mark)
    ratios.axvline(1, color="#444444", linewidth=1)
    ratios.set(xscale="log", xlabel="time of the peer / time of gpu_upsample (above 1 we are faster)")
    ratios.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ratios.set_yticks(range(len(cases)), [case["name"] for case in cases], fontsize=9)
    for label, case in zip(ratios.get_yticklabels(), cases, strict=True):
        label.set_color(_MISSED if _verdict(case) == "fail" else "black")
    ratios.set_ylim(len(cases) - 0.5, -0.5)
    roofline.draw(fractions, cases)
    for axes in (ratios, fractions):
        axes.grid(axis="x", which="both", color="#e6e6e6")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
    if ratios.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper right", ncols=len(_MARKS), frameon=False)
    summary = _summary(run)[0].partition(";")[0].rstrip(".")
    figure.suptitle(
        f"{_title(run)}\n{summary} · a tick is a target, red where it is missed", x=0.01, ha="left", fontsize=11
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_peer(axes: Any, cases: Sequence[Record], name: str, shape: str, colour: str) -> None:
    """Draw how many times as long a peer takes, and the targets against it."""
    compared = [(row, case) for row, case in enumerate(cases) if "ratio" in case["peers"].get(name, {})]
    if not compared:
        return
    points = [(case["peers"][name]["ratio"], row) for row, case in compared]
    axes.plot(*zip(*points, strict=True), shape, color=colour, markersize=7, label=name)
    for row, case in compared:
        for verdict in case["verdicts"]:
            if verdict["of"] == name:
                tick = colour if verdict["met"] else _MISSED
                axes.plot([verdict["bound"]] * 2, [row - 0.4, row + 0.4], color=tick, linewidth=2)


def _title(run: Record) -> str:
    machine = run["machine"]
    where = machine["device"]["name"] if "device" in machine else f"{machine['processor']}, {machine['cores']} cores"
    quick = " · QUICK RUN, no meaning" if run["quick"] else ""
    return f"gpu_upsample {run['versions'].get('gpu-upsample', '')} · {where} · {run['date'][:10]}{quick}"
