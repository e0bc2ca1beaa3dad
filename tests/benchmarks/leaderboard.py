"""Repeat a row of docs/leaderboard.md, print it from the run's own files and compare both.

    python -m tests.benchmarks.leaderboard ROW [options of albert run]
    python -m tests.benchmarks.leaderboard ROW --run FOLDER
    python -m tests.benchmarks.leaderboard --render

The run's folder is runs/leaderboard/ROW; a killed run goes on when the command is given again.
With `--run`, nothing is run. The printed JSON is what docs/leaderboard.json takes as a new row;
`--render` then writes the tables of the page.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from albert_core.errors import InputError
from albert_core.processes.stops import answered_stops
from pipeline.local.interruption import exit_when_interrupted
from tests.benchmarks.leaderboard_rows import (
    PAGE_PATH,
    ROOT,
    Row,
    compare_rows,
    read_leaderboard,
    rendered_page,
)
from tests.benchmarks.leaderboard_run import row_from_run

DEMO_DATA = "runs/demo-data"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print and compare, as the module says; return 2 for a row that cannot be repeated.

    SIGTERM and Ctrl-C end the process, and the run with it.
    """
    with answered_stops(ends_process=arguments is None) as ending:
        return _repeat_and_compare(arguments)
    return ending.status


def _repeat_and_compare(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("row", nargs="?", default="")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--render", action="store_true")
    given, options = parser.parse_known_args(arguments)
    try:
        board = read_leaderboard()
        if given.render:
            page = PAGE_PATH.read_text(encoding="utf-8")
            PAGE_PATH.write_text(rendered_page(page, board), encoding="utf-8")
            return 0
        stored = board.row(given.row)
        folder = given.run or repeat(stored, options)
        print_row(stored, row_from_run(folder, stored))
    except InputError as error:
        print(f"leaderboard: {error}", file=sys.stderr)
        return 2
    return 0


def repeat(row: Row, options: Sequence[str]) -> Path:
    """Run what a row is of, and return the run's folder.

    Args:
        row: The row.
        options: Further options of `albert run`, such as where the data lie.

    Raises:
        InputError: No configuration repeats it.
        subprocess.CalledProcessError: The run failed.
    """
    if not row.config:
        raise InputError(
            f"ROW: got {row.name}, which no configuration in the repository repeats; it was "
            f"measured by {row.command} ({row.source})"
        )
    albert = str(Path(sys.executable).with_name("albert"))
    output = Path("runs") / "leaderboard" / row.name
    if row.needs_demo_data:
        _run((albert, "demo-data", "--output", DEMO_DATA))
    command = (albert, "run", "--config", row.config, "--output", str(output), *row.options)
    _run((*command, *options))
    return ROOT / output


def _run(command: Sequence[str]) -> None:
    """Run a command in the repository; a stop ends it in order, and then this process.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    with exit_when_interrupted():
        # Not by `subprocess.run`, which kills it as soon as this process is interrupted.
        process = subprocess.Popen(command, cwd=ROOT)
        if status := process.wait():
            raise subprocess.CalledProcessError(status, command)


def print_row(stored: Row, measured: Row) -> None:
    """Print a measured row as JSON, and each of its figures beside the stored one."""
    print(json.dumps(dataclasses.asdict(measured), indent=2, ensure_ascii=False))
    print(f"\n{'figure':45}{'stored':>10}{'now':>10}{'difference':>12}")
    for name, first, second in compare_rows(stored, measured):
        both = first is not None and second is not None
        difference = f"{second - first:+.1f}" if both else ""
        cells = ["" if value is None else f"{value:.1f}" for value in (first, second)]
        print(f"{name:45}{cells[0]:>10}{cells[1]:>10}{difference:>12}")


if __name__ == "__main__":
    sys.exit(main())
