"""Damage every file of stopped work in every way, one at a time, and finish the work.

Run by hand: `.venv/bin/python -m tests.damaged_work [step...]`. Prints a line for each file and
kind of damage: what was said, and whether the output has the same bytes as without damage. Ends
with status 1 if any differs. The tests of the suite try a few of these cases.
"""

import contextlib
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
    """Try all steps, or those named on the command line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = make_inputs(folder)
        steps = sys.argv[1:] or RUNS
        return int(sum(damage_step(step, inputs, folder / step) for step in steps) > 0)


def damage_step(step: str, inputs: Inputs, folder: Path) -> int:
    """Damage the files of a step's work one after the other; return how often bytes differed."""
    work, output = do_work(step, inputs, folder / "whole", seed=1)
    other, _ = do_work(step, inputs, folder / "other", seed=6)
    expected = contents(output)
    num_different = 0
    for name in work_files(work):
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
