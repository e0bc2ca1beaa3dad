"""Stop commands at moments drawn by a seed, look how they end, and run them again.

Run by hand: `make stops`, or `.venv/bin/python -m tests.stops [command...] [--times N] [--seed N]`.
Prints a line for each command: how often it was stopped, the longest that it took to end, and how
often it ended wrongly: later than after five seconds, with another exit status than 130 (Ctrl-C) or
143 (SIGTERM), with more or less than one line on standard error since the signal, or with a process
left; and how often the same command, run again, failed or ended with other results. Ends with
status 1 if there is any.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from albert_core.stops import STOP_SIGNALS
from pipeline.console import main as albert
from tests.helpers.power_cuts import call_in_fork
from tests.power_cuts import PRELOADED, describe_difference, make_commands, prepare, read_result

LIMIT_S = 5.0
_SECONDS_OF_SERVER = 8.0
_WITHOUT_END = ("serve",)


class Stop(NamedTuple):
    """How a command ended that was stopped.

    Attributes:
        status: Its exit status.
        seconds: How long it took to end.
        lines: What it said since the signal.
        left: Processes that it started and that are still there.
    """

    status: int
    seconds: float
    lines: Sequence[str]
    left: Sequence[int]

    def describe_faults(self, number: int, *, is_server: bool) -> str:
        """Return what is wrong, empty if nothing is.

        Args:
            number: The signal.
            is_server: Whether the command ends with status 0, too, once it works.
        """
        has_served = is_server and self.status == 0 and not self.lines
        is_one_line = len(self.lines) == 1 and self.lines[0].startswith("albert: ")
        faults = {
            f"took {self.seconds:.1f} s": self.seconds > LIMIT_S,
            f"status {self.status}": self.status != 128 + number and not has_served,
            f"said {self.lines}": not is_one_line and not has_served,
            f"left {self.left}": bool(self.left),
        }
        return ", ".join(text for text, is_so in faults.items() if is_so)


def all_commands(inputs: Path) -> Mapping[str, Sequence[str]]:
    """Return the commands by name, with `out` for their output; `run` takes longest."""
    tasks = ("--data_dir", str(inputs / "tasks-of-run"), "--task", "cola")
    model = str(inputs / "tiny/model")
    settings = ("--config", str(inputs / "tiny.yaml"))
    return {
        **make_commands(inputs),
        "info": ("info", model),
        "demo-data": ("demo-data", "--output", "out"),
        "finetune": ("finetune", *settings, *tasks, "--pretrained_dir", model, "--output", "out"),
        "probe": ("probe", model, *tasks),
        "serve": ("serve", model, "--port", "0"),
    }


def main() -> int:
    """Try all commands but `run` and `demo-data`, or those named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", help="else all that take seconds")
    parser.add_argument("--times", type=int, default=4, metavar="N", help="stops of each command")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws the moments")
    options = parser.parse_args()
    for module in PRELOADED:
        __import__(module)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In a fork: TensorFlow must not have worked in the process that is forked.
        assert call_in_fork(lambda: prepare(folder / "inputs"), log=folder / "log") == 0
        commands = all_commands(folder / "inputs")
        names = options.commands or [n for n in commands if n not in ("run", "demo-data")]
        rng = random.Random(options.seed)
        return int(
            sum(try_stops(n, commands[n], folder / n, rng, options.times) for n in names) > 0
        )


def try_stops(
    name: str, command: Sequence[str], folder: Path, rng: random.Random, num_stops: int
) -> int:
    """Stop a command again and again, and return how often it did not end as it should.

    Args:
        name: Of the command, for the lines that are printed.
        command: Its arguments.
        folder: Folder to make; removed in the end.
        rng: Draws the moments, from the command's start to where it ended by itself.
        num_stops: How often.
    """
    seconds, expected = _SECONDS_OF_SERVER, None
    if name not in _WITHOUT_END:
        began = time.monotonic()
        status = finish(command, folder / "whole")
        assert status == 0, (folder / "whole/log").read_text()
        seconds, expected = time.monotonic() - began, read_result(folder / "whole")
    num_wrong, longest_s = 0, 0.0
    for index in range(num_stops):
        number = STOP_SIGNALS[index % len(STOP_SIGNALS)]
        case, after_s = folder / "case", rng.uniform(0.0, seconds)
        shutil.rmtree(case, ignore_errors=True)
        stop = stop_after(command, case, after_s, number)
        if stop is None:  # it had ended before
            continue
        wrong = stop.describe_faults(number, is_server=name in _WITHOUT_END)
        if expected is not None and not wrong:
            status = finish(command, case)
            wrong = f"then status {status}" if status else ""
            wrong = wrong or describe_difference(expected, read_result(case))
        longest_s = max(longest_s, stop.seconds)
        num_wrong += bool(wrong)
        if wrong:
            print(f"{name} | {signal.Signals(number).name} after {after_s:.2f} s | {wrong}")
    ended = f"ended within {longest_s:.1f} s"
    print(f"{name} | {num_stops} stops | {ended} | {num_wrong} wrong", flush=True)
    shutil.rmtree(folder)
    return num_wrong


def stop_after(command: Sequence[str], case: Path, seconds: float, number: int) -> Stop | None:
    """Start a command, stop it after some seconds, and return how it ended; None if it had before.

    Args:
        command: Its arguments.
        case: Folder in which it works; made if missing.
        seconds: When it is stopped.
        number: The signal; SIGINT goes to its children, too, as from a terminal.
    """
    log = case / "log"
    pid = start(command, case)
    time.sleep(seconds)
    if os.waitpid(pid, os.WNOHANG)[0]:
        return None
    num_bytes, began = log.stat().st_size, time.monotonic()
    (os.killpg if number == signal.SIGINT else os.kill)(pid, number)
    status = wait(pid)
    ended = time.monotonic()
    left = find_session(pid)
    for other in left:
        os.kill(other, signal.SIGKILL)
    lines = log.read_bytes()[num_bytes:].decode(errors="replace").splitlines()
    return Stop(status=status, seconds=ended - began, lines=lines, left=left)


def finish(command: Sequence[str], case: Path) -> int:
    """Run a command to its end in a folder, and return its exit status."""
    return wait(start(command, case), timeout_s=600.0)


def start(command: Sequence[str], case: Path) -> int:
    """Start a command as a process of its own in a folder, and return its id.

    It has a session of its own, temporary files in `tmp`, and its standard error in `log`.
    """
    for name in ("place", "tmp"):
        (case / name).mkdir(parents=True, exist_ok=True)
    log = os.open(case / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # What a signal does before the command answers it; a fork begins with what its parent has.
    before = {each: signal.signal(each, signal.SIG_DFL) for each in STOP_SIGNALS}
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setsid()
            os.dup2(nowhere, 1)
            os.dup2(log, 2)
            os.chdir(case / "place")
            os.environ["TMPDIR"] = str(case / "tmp")
            tempfile.tempdir = None
            sys.argv = ["albert", *command]
            status = albert()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    for each, handler in before.items():
        signal.signal(each, handler)
    os.close(log)
    os.close(nowhere)
    return pid


def wait(pid: int, *, timeout_s: float = 60.0) -> int:
    """Wait for a process, which is killed if it takes longer, and return its exit status."""
    deadline = time.monotonic() + timeout_s
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def find_session(session: int) -> list[int]:
    """Return the ids of the processes of a session, except those that have ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


if __name__ == "__main__":
    sys.exit(main())
