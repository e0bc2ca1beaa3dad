"""SIGTERM and Ctrl-C end a process within seconds, whatever it does, with one line and no child."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from albert_core.errors import StoppedError
from albert_core.processes import child_processes, stops
from albert_core.processes.child_processes import end_children
from albert_core.processes.interruptible_calls import call_in_thread
from albert_core.processes.stops import answered_stops, is_stopping

ROOT = Path(__file__).resolve().parents[3]
LINES = {
    signal.SIGTERM: "albert: stopped by SIGTERM; run again to continue\n",
    signal.SIGINT: "albert: interrupted; run again to continue\n",
}
PROGRAM = """
import ctypes, os, subprocess, sys, threading, time
from albert_core.processes import child_processes
from albert_core.processes import stops
from albert_core.errors import StoppedError
stops.GRACE_S = float(sys.argv[1])

def call_c():
    'Wait for ever in a call that signals do not end, as for a mutex that is locked.'
    mutex = ctypes.create_string_buffer(256)
    lock = ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex), lock(mutex)

def wait():
    print('ready', flush=True)
    time.sleep(60)

def wait_in_c():
    threading.Timer(0.1, lambda: print('ready', flush=True)).start()
    call_c()

def body():
{body}

with stops.answered_stops(ends_process=True):
    body()
"""


def start(body: str, *, grace_s: float = 60.0) -> subprocess.Popen:
    """Start a program with this body, and wait for its word that it is ready."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("{body}", lines), str(grace_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Send a signal; return the exit status and standard error."""
    process.send_signal(number)
    _, messages = process.communicate(timeout=20)
    return process.returncode, messages


@pytest.mark.parametrize("number", stops.STOP_SIGNALS)
def test_a_process_ends_in_order_with_one_line(number, tmp_path):
    made = tmp_path / "made"
    body = f"try:\n    wait()\nfinally:\n    open({str(made)!r}, 'w').close()"
    assert end(start(body), number) == (128 + number, LINES[number])
    assert made.exists()


STUCK = {
    "in a call of a library": "wait_in_c()",
    "in a call of a library that holds other threads": (
        "threading.Thread(target=call_c).start()\nwait()"
    ),
    "in what it does in the end": "try:\n    wait()\nfinally:\n    call_c()",
    "in what took the interruption for an error": (
        "try:\n    wait()\nexcept BaseException:\n    time.sleep(60)"
    ),
    "in waiting for its threads": (
        "thread = threading.Thread(target=call_c)\nthread.start()\n"
        "try:\n    wait()\nfinally:\n    thread.join()"
    ),
}


@pytest.mark.parametrize("body", STUCK.values(), ids=STUCK)
def test_a_process_that_is_stuck_ends_by_force_with_the_same_line(body):
    process, began = start(body, grace_s=0.3), time.monotonic()
    assert end(process) == (143, LINES[signal.SIGTERM])
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("number", stops.STOP_SIGNALS)
def test_the_system_ends_a_process_that_lets_no_thread_run(number):
    # Of ctypes, this kind of call keeps the lock of the interpreter.
    body = (
        "with stops.answered_by_system():\n"
        "    print('ready', flush=True)\n"
        "    ctypes.PyDLL(None).sleep(60)"
    )
    assert end(start(body), number) == (-number, "albert: stopped; run again to continue\n")


def test_a_call_that_the_system_would_have_ended_leaves_all_as_it_was():
    body = (
        "with stops.answered_by_system():\n    pass\n"
        "try:\n    with stops.answered_by_system():\n        raise ValueError\n"
        "except ValueError:\n    wait()"
    )
    assert end(start(body)) == (143, LINES[signal.SIGTERM])


NOISY = {
    "another error": "try:\n    wait()\nexcept BaseException:\n    raise RuntimeError('broken')",
    "an error of bad input": (
        "try:\n    wait()\nexcept BaseException:\n    sys.exit('albert: error: no such file')"
    ),
    "an error that nobody gets": (
        "class Held:\n    def __del__(self): wait()\nheld = Held()\ndel held"
    ),
    "an error of a thread": (
        "def work():\n    while not stops.is_stopping(): time.sleep(0.01)\n    raise ValueError\n"
        "thread = threading.Thread(target=work)\nthread.start()\n"
        "try:\n    wait()\nfinally:\n    thread.join()"
    ),
}


@pytest.mark.parametrize("body", NOISY.values(), ids=NOISY)
def test_what_breaks_by_a_stop_is_not_told(body):
    body = body if "Held" not in body else f"{body}\ntime.sleep(60)"
    assert end(start(body, grace_s=0.3)) == (143, LINES[signal.SIGTERM])


def test_what_was_saved_is_told():
    body = "try:\n    wait()\nexcept BaseException:\n    raise StoppedError('3 steps are saved')"
    assert end(start(body), signal.SIGINT) == (130, "albert: 3 steps are saved\n")


def test_work_that_would_be_lost_has_longer():
    body = (
        "with stops.longer_grace(lambda: 60.0):\n"
        "    try:\n        wait()\n"
        "    finally:\n        time.sleep(0.5); print('saved', flush=True)"
    )
    body = (
        f"try:\n{textwrap.indent(body, '    ')}\nfinally:\n    time.sleep(0.1)"  # has its time, too
    )
    process = start(body, grace_s=0.3)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (143, "saved\n")


def test_work_does_not_begin_after_a_stop_that_a_library_dropped():
    body = (
        "try:\n    wait()\nexcept BaseException:\n    pass\n"
        "with stops.longer_grace(lambda: 60.0):\n    time.sleep(60)"
    )
    assert end(start(body)) == (143, LINES[signal.SIGTERM])


def test_a_second_ctrl_c_ends_at_once():
    body = "with stops.longer_grace(lambda: 60.0):\n    wait_in_c()"
    process = start(body)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)  # the same one, as another program passes it on
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.7)
    assert end(process, signal.SIGINT) == (130, LINES[signal.SIGINT])


def test_ctrl_c_that_is_ignored_from_the_start_stays_so():
    # As a shell starts `command &` in a script.
    lines = "print('ready', flush=True)\n    sys.stdin.read()"
    code = PROGRAM.replace("{body}", f"    {lines}")
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", code, "60"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    assert end(process) == (143, LINES[signal.SIGTERM])


def test_children_end_too_and_theirs_and_those_that_refuse(tmp_path):
    numbers = tmp_path / "numbers"
    shell = f"trap '' TERM; sleep 60 & echo $$ $! >> {numbers}; wait"
    body = (
        f"for _ in range(2):\n    subprocess.Popen(['sh', '-c', {shell!r}], stderr=2)\n"
        f"while not os.path.exists({str(numbers)!r}) or "
        f"len(open({str(numbers)!r}).readlines()) < 2:\n    time.sleep(0.01)\n"
        "wait_in_c()"
    )
    assert end(start(body, grace_s=0.1)) == (143, LINES[signal.SIGTERM])
    pids = numbers.read_text().split()
    assert len(pids) == 4
    assert not [pid for pid in pids if is_alive(int(pid))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_children_that_end_in_order_are_waited_for(tmp_path):
    code = "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(0.3), sys.exit(7)))"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(); time.sleep(60)"], stdout=subprocess.PIPE
    )
    assert child.stdout
    child.stdout.readline()
    end_children(within_s=20.0)
    assert child.wait() == 7
    child.stdout.close()


def test_children_are_killed_however_long_a_look_at_them_takes(monkeypatch):
    find = child_processes._find_children
    monkeypatch.setattr(
        child_processes, "_find_children", lambda known: (find(known), time.sleep(0.3))[0]
    )
    child = subprocess.Popen(["sleep", "60"])
    end_children(within_s=0.05)
    assert child.wait(timeout=10) == -signal.SIGKILL


def test_temporary_files_are_removed_by_force(tmp_path):
    folder = tmp_path / "temporary"
    body = (
        "from pathlib import Path\n"
        "from albert_core.processes.user_folder import temporary_files_in\n"
        f"with temporary_files_in(Path({str(folder)!r})):\n"
        f"    Path({str(folder)!r}, 'file').touch(); wait_in_c()"
    )
    assert end(start(body, grace_s=0.1))[0] == 143
    assert not folder.exists()


def test_ctrl_c_does_not_reach_what_a_thread_starts():
    code = "import signal; print(int(signal.SIGINT in signal.pthread_sigmask(0, [])), end='')"
    command = [sys.executable, "-c", code]
    run = subprocess.check_output
    assert (call_in_thread(lambda: run(command)), run(command)) == (b"1", b"0")


def test_a_thread_passes_its_error_on():
    with pytest.raises(ZeroDivisionError):
        call_in_thread(lambda: 1 // 0)


def test_a_command_that_is_no_process_of_its_own_leaves_all_as_it_was(capfd):
    before = [signal.getsignal(number) for number in stops.STOP_SIGNALS]
    threads = threading.active_count()
    with answered_stops(ends_process=False) as ending:
        assert not is_stopping()
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError
    assert (ending.status, is_stopping()) == (143, False)
    os.write(2, b"after\n")
    assert capfd.readouterr().err == LINES[signal.SIGTERM] + "after\n"
    assert [signal.getsignal(number) for number in stops.STOP_SIGNALS] == before
    assert threading.active_count() == threads


def test_a_signal_that_comes_at_the_very_end_does_no_harm(monkeypatch, capfd):
    put_back, before = signal.signal, signal.getsignal(signal.SIGTERM)

    def raise_one(number, handler):
        monkeypatch.setattr(signal, "signal", put_back)
        signal.raise_signal(number)
        return put_back(number, handler)

    with answered_stops(ends_process=False) as ending:
        monkeypatch.setattr(signal, "signal", raise_one)
    assert (ending.status, is_stopping()) == (0, False)
    assert signal.getsignal(signal.SIGTERM) is before
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_the_line_is_told_while_standard_error_is_held_back(tmp_path):
    held_back = tmp_path / "held-back"
    body = (
        "from albert_core.processes import standard_error\n"
        f"with open({str(held_back)!r}, 'w') as file, standard_error.sent_to(file.fileno()):\n"
        "    os.write(2, b'noise')\n"
        "    try:\n        wait()\n"
        "    finally:\n        os.write(2, b'more of it')"
    )
    assert end(start(body)) == (143, LINES[signal.SIGTERM])
    assert held_back.read_text() == "noise"


def test_within_another_and_in_a_thread_nothing_is_answered_twice():
    with answered_stops(ends_process=False) as outer, answered_stops(ends_process=True):
        signal.raise_signal(signal.SIGINT)
    assert outer.status == 130

    def work() -> int:
        with answered_stops(ends_process=True) as ending:
            return ending.status
        return 1

    assert call_in_thread(work) == 0


def test_errors_without_a_stop_pass():
    with pytest.raises(StoppedError), answered_stops(ends_process=True):
        raise StoppedError("by nobody")
