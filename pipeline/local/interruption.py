"""Ctrl-C and SIGTERM in a local run: its steps end in order, and then the process."""

import contextlib
from collections.abc import Iterator

from albert_core.processes.child_processes import end_children
from albert_core.processes.stops import end_stopped_process, longer_grace

# Longer than a step that is stuck takes to end itself; both are less than the five seconds within
# which a run must end.
_STEPS_END_WITHIN_S = 3.5
_GRACE_S = 4.5


@contextlib.contextmanager
def exit_when_interrupted() -> Iterator[None]:
    """Exit the process as soon as the body is interrupted (KeyboardInterrupt), after its steps.

    Steps get SIGTERM, so that a training saves the step in progress, and are killed after
    `_STEPS_END_WITHIN_S`. The status is 130, or 143 after SIGTERM. Nothing is cleaned up and no
    thread is waited for: kfp would start the steps that wait for a place, and wait for all of them.
    Steps in containers see that the run's lock is free and end.
    """
    with longer_grace(lambda: _GRACE_S):
        try:
            yield
        except KeyboardInterrupt:
            end_children(within_s=_STEPS_END_WITHIN_S)
            end_stopped_process()
