"""Stands in for the process that calls a tracker, without a client: quick to start, and obedient.

`python -m tests.helpers.tracker_processes` behaves as the first message's address says: it never
answers (`hang`), ends at once (`die`), fails each call (`fail`), or answers each message slowly
(`slow`).
"""

import json
import sys
import time
from typing import Any


def main() -> None:
    behaviour = json.loads(sys.stdin.readline())["run"]["address"]
    if behaviour == "die":
        return
    say(kind="ready")
    if behaviour == "hang":
        time.sleep(60)
    if behaviour == "fail":
        say(kind="trouble", text="403, permission denied")
        time.sleep(60)
    for number, line in enumerate(sys.stdin, 1):
        time.sleep(0.02)
        if json.loads(line)["kind"] == "end":
            say(kind="closed")
            return
        say(kind="done", number=number)


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
