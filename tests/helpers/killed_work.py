"""Work that is killed at every call that changes files, in a process that may be forked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from albert_core.artifacts import outputs
from albert_core.artifacts.step import run_step
from albert_core.files.atomic import write_json
from albert_core.places.links import update_places
from albert_core.progress import new_events, read_events
from albert_core.settings import parse_settings
from albert_core.settings.yaml_text import load_yaml
from components.runtime import EVENTS_NAME
from pipeline.config import RunConfig
from pipeline.local import run_folder
from pipeline.local.damage import remove_damaged
from pipeline.local.run_folder import RUN_CONFIG_NAME, lock_run_folder
from tests.helpers.power_cuts import contents, kill_everywhere

_CONFIG = parse_settings(RunConfig, {"corpus": {"files": ["corpus"]}}, source="test")
_EVENT = {"time": 1.0, "step": "vocab", "event": "finished"}


def do_work(folder: Path, **changes: Any) -> None:
    """Publish two files, of which one is made by way of progress and of a temporary file."""

    def body(results: Path, progress: Path) -> dict[str, Any]:
        if not (progress / "half.json").exists():
            write_json(progress / "half.json", {"value": 1})
        (results / "deep").mkdir()
        (results / "deep/whole.json").write_bytes((progress / "half.json").read_bytes())
        (results / "note.txt").write_text("done")
        return {}

    run_step(
        "vocab",
        config={},
        inputs={"corpus": "abc"},
        output=folder / "out",
        body=body,
        **changes,
    )


def nothing(folder: Path) -> None:
    """Leave a folder as it is."""


def output_of_other_code(folder: Path) -> None:
    do_work(folder)
    path = folder / "out/manifest.json"
    values = json.loads(path.read_text())
    del values["checksum"]  # as earlier versions wrote it
    files = {**values["files"], "older/gone.txt": {"bytes": 0, "sha256": ""}}
    (folder / "out/older").mkdir()
    (folder / "out/older/gone.txt").touch()
    path.write_text(json.dumps({**values, "code_version": "older", "files": files}))


def without_times(folder: Path) -> dict[str, bytes | None]:
    """Return a folder's contents less the seconds of the manifests, and the checksums over them."""
    values = contents(folder)
    for name, data in values.items():
        if name.endswith("manifest.json") and data:
            manifest = json.loads(data)
            del manifest["seconds"], manifest["checksum"]
            values[name] = json.dumps(manifest).encode()
    return values


def kill_step(prepare: Callable[[Path], None], is_in_place: bool, folder: Path) -> int:
    """Kill a step everywhere, and compare what a second run leaves with what a whole one does.

    Args:
        prepare: Makes the state before the step.
        is_in_place: Whether the output cannot be renamed, as a mount point.
        folder: An empty folder.

    Returns:
        The number of places.
    """
    if is_in_place:
        outputs.is_replaceable = lambda folder: not folder.is_dir()  # type: ignore[attr-defined]
    prepared, whole = folder / "prepared", folder / "whole"
    prepared.mkdir()
    prepare(prepared)
    shutil.copytree(prepared, whole)
    do_work(whole)
    expected = without_times(whole)
    num_places = 0
    for place, case in kill_everywhere(prepared, do_work, folder):
        assert without_times(case) == expected, f"killed at {place}"
        num_places = place
    return num_places


def begin_run(folder: Path) -> None:
    """Do what a run does before and after its steps."""
    run = folder / "run"
    with (
        lock_run_folder(run, _CONFIG, "1", reconfigure=False),
        new_events(run / EVENTS_NAME, run / "work/earlier-events.jsonl"),
    ):
        remove_damaged(run)
        update_places(run)


def finished_run(folder: Path) -> None:
    """Leave the folder of a run with one finished step, and a second, damaged artifact of it."""
    begin_run(folder)
    run = folder / "run"
    (run / EVENTS_NAME).write_text(json.dumps(_EVENT) + "\n")
    for name in ("one", "two"):
        output = run / "artifacts" / name / "vocab"
        run_step("vocab", config={}, inputs={}, output=output, body=lambda *_: {})
    (run / "artifacts/two/vocab/manifest.json").write_text("{")


def kill_run(folder: Path) -> int:
    """Kill a run everywhere as it begins and ends, and look at what a second one leaves.

    Args:
        folder: An empty folder.

    Returns:
        The number of places.
    """
    # It takes ten times as long as all else, and writes nothing.
    run_folder._read_saved_values = lambda data, _: load_yaml(data, source="config.yaml")
    num_places = 0
    for name in ("empty", "finished"):
        (folder / name).mkdir()
    finished_run(folder / "finished")
    for place, case in kill_everywhere(folder / "finished", begin_run, folder):
        run = case / "run"
        assert not list(run.rglob(".*")), f"killed at {place}"
        assert not list((run / "work").iterdir()), f"killed at {place}"
        assert read_events(run / EVENTS_NAME) == [_EVENT], f"killed at {place}"
        assert (run / "vocab").is_symlink(), f"killed at {place}"
        assert not (run / "artifacts/two/vocab").exists(), f"killed at {place}"
        num_places += 1
    for place, case in kill_everywhere(folder / "empty", begin_run, folder):
        assert (case / "run" / RUN_CONFIG_NAME).is_file(), f"killed at {place}"
        num_places += 1
    return num_places
