"""Commands that are stopped at moments drawn by a seed; a longer form by hand: `make stops`."""

import random
from pathlib import Path

from albert_core.processes.stops import STOP_SIGNALS
from tests.helpers.power_cuts import in_new_process
from tests.helpers.stopped_commands import finish, stop_after
from tests.helpers.tiny_run import write_corpus

# The part of a command in which moments are drawn, in seconds: about how long it takes.
SECONDS = {"vocab": 0.5, "records": 4.0, "demo-data": 2.0, "info": 0.2}


def stop_and_finish(folder: Path) -> list[str]:
    """Stop each command with either signal, in the same folder; then let it end there.

    To be called in a process that may fork, which imports what the commands need.

    Returns:
        What went wrong; the first says how many stops came in time.
    """
    import pipeline.cli.main  # noqa: F401

    corpus = ("--corpus.files", str(write_corpus(folder / "text")))
    beam = ("--beam.mode", "multi_processing", "--beam.num_workers", "2")
    vocab = str(folder / "vocab/place/out")
    commands = {
        "vocab": (*corpus, "--vocab.size", "60", "--output", "out"),
        "records": (*corpus, "--vocab_dir", vocab, *beam, "--output", "out"),
        "info": (vocab,),
        "demo-data": ("--output", "out"),
    }
    rng, faults, num_stops = random.Random(1), [], 0
    for name, options in commands.items():
        command = (name, *options)
        for number in STOP_SIGNALS:
            stop = stop_after(command, folder / name, rng.uniform(0.0, SECONDS[name]), number)
            num_stops += stop is not None
            if stop and (fault := stop.describe_faults(number, has_result=True)):
                faults.append(f"{name}: {fault}")
        if name != "demo-data" and (status := finish(command, folder / name)):
            faults.append(f"{name}: {status}, {(folder / name / 'log').read_text()}")
    return [f"{num_stops} stops", *faults]


def test_commands_stopped_at_any_moment_end_in_seconds_with_a_line_and_go_on(tmp_path):
    stops, *faults = in_new_process(stop_and_finish, tmp_path)
    assert not faults
    assert int(stops.split()[0]) >= 6
