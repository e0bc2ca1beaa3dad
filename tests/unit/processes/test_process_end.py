"""The end of a fork by `os._exit`: nothing that a program leaves to the end of Python is lost."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

AT_ONCE = """
import os, sys
from albert_core.processes.process_end import run_to_end
os._exit(run_to_end(lambda: exec(sys.argv[1], {"__name__": "__main__"})))
"""

PROGRAMS = {
    "the rest of a line": "print('no line feed', end='')",
    "a function for the end": "import atexit; atexit.register(print, 'at the end')",
    "a thread": """
        import threading, time
        threading.Thread(target=lambda: (time.sleep(0.2), print("from the thread"))).start()
    """,
    "a pool of threads": """
        import time
        from concurrent.futures import ThreadPoolExecutor
        pool = ThreadPoolExecutor(1)
        pool.submit(lambda: (time.sleep(0.2), print("from the pool")))
    """,
    "a temporary folder": """
        import tempfile
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        open(folder.name + "/file", "w").write("text")
    """,
    "a log that is written at its end": """
        import logging, logging.handlers, sys
        stream = logging.StreamHandler(sys.stdout)
        logging.getLogger().addHandler(logging.handlers.MemoryHandler(100, target=stream))
        logging.getLogger().warning("kept until the end")
    """,
    "a process": """
        import multiprocessing, time
        context = multiprocessing.get_context("fork")
        context.Process(target=time.sleep, args=(60,), daemon=True).start()
        context.Process(target=lambda: (time.sleep(0.2), print("from the process"))).start()
    """,
    "a status": "import sys; print('told'); sys.exit(3)",
    "a status in words": "import sys; print('told'); sys.exit('a reason')",
    "an error": "print('told'); raise ValueError('a bug')",
    "a signal": "import os; print('told', flush=True); os.kill(os.getpid(), 15); print('never')",
    "output that cannot be written": "import sys; sys.stdout = open('/dev/full', 'w'); print(1)",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_ends_as_in_python_itself(name: str, tmp_path: Path) -> None:
    program = textwrap.dedent(PROGRAMS[name])
    as_ever = run(["-c", program], tmp_path / "as-ever")
    at_once = run(["-c", AT_ONCE, program], tmp_path / "at-once")
    assert at_once.returncode == as_ever.returncode
    assert at_once.stdout == as_ever.stdout
    assert at_once.stderr.splitlines()[-1:] == as_ever.stderr.splitlines()[-1:]


def run(arguments: list[str], temporary: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python with a folder of temporary files, in which nothing must be left."""
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, *arguments],
        env={"TMPDIR": str(temporary), "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert list(temporary.iterdir()) == []
    return done
