"""Damage every file of stopped work in every way, one at a time, and finish the work.

Run by hand: `.venv/bin/python -m tests.damaged_work [step...] [--files GLOB]`. Prints a line for
each file and kind of damage: what was said, and whether the output has the same bytes as without
damage. Ends with status 1 if any differs. The tests of the suite try a few of these cases.
"""

import argparse
import contextlib
import fnmatch
import io
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.helpers.stopped_work import (
    DAMAGES,
    RUNS,
    Inputs,
    contents,
    counterpart,
    do_work,
    finish_work,
    make_inputs,
    work_files,
)


def main() -> int:
    """Try all steps and files, or those named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="step", help=f"of {', '.join(RUNS)}; else all")
    parser.add_argument("--files", default="*", help="only files of work whose paths match")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = make_inputs(folder)
        steps = options.steps or RUNS
        num_different = [damage_step(s, inputs, folder / s, options.files) for s in steps]
        return int(sum(num_different) > 0)


def damage_step(step: str, inputs: Inputs, folder: Path, pattern: str = "*") -> int:
    """Damage the files of a step's work one after the other; return how often bytes differed.

    Args:
        step: Name of the step.
        inputs: What it reads.
        folder: Folder to make.
        pattern: Only files whose paths in the work folder match this are damaged.
    """
    work, output = do_work(step, inputs, folder / "whole", seed=1)
    other, _ = do_work(step, inputs, folder / "other", seed=6)
    expected = contents(output)
    num_different = 0
    for name in fnmatch.filter(work_files(work), pattern):
        for damage, spoil in DAMAGES.items():
            case, began = folder / "case", time.monotonic()
            shutil.copytree(work, case / "work")
            spoil(case / "work" / name, counterpart(name, other))
            said = io.StringIO()
            try:
                with contextlib.redirect_stderr(said):
                    output = finish_work(step, inputs, case, seed=1)
                became = "same bytes" if contents(output) == expected else "OTHER BYTES"
            except Exception as error:
                became = f"{type(error).__name__}: {error}"
            num_different += became != "same bytes"
            lines = [line for line in said.getvalue().splitlines() if "damaged" in line]
            named = lines[0].removeprefix(f"albert: {case / 'work'}/") if lines else "(nothing)"
            print(f"{step} | {name.partition('/')[2]} | {damage} | {became} | {named}", flush=True)
            print(f"    {time.monotonic() - began:.1f} s", file=sys.stderr)
            shutil.rmtree(case)
    return num_different


if __name__ == "__main__":
    sys.exit(main())
