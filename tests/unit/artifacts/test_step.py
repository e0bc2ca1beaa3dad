"""Steps: published once and whole, resumed after a kill, never on top of something else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from albert_core.artifacts import outputs, work_folder
from albert_core.artifacts.manifest import Manifest, find_manifest, read_manifest
from albert_core.artifacts.step import run_step
from albert_core.errors import InputError
from albert_core.object_storage.errors import WriteConflictError

CONFIG = {"size": 3}


class Work:
    """A step's body that counts its runs, keeps progress, and fails when told to."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.found: list[list[str]] = []

    def __call__(self, results: Path, progress: Path) -> dict[str, Any]:
        self.found.append(sorted(path.name for path in progress.iterdir()))
        (progress / f"checkpoint-{len(self.found)}").touch()
        (results / "deep").mkdir(exist_ok=True)
        (results / "deep" / "result.txt").write_text("half")
        if self.failure and len(self.found) == 1:
            raise self.failure
        (results / "deep" / "result.txt").write_text("whole")
        return {"num_runs": len(self.found)}


def run(folder: Path, body: Callable[[Path, Path], Any], **changes: Any) -> Manifest:
    settings = {
        "config": CONFIG,
        "inputs": {"corpus": "abc"},
        "output": folder / "output",
        **changes,
    }
    return run_step("vocab", body=body, **settings)


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_manifest_tells_the_machine_and_the_versions_and_old_ones_are_read(tmp_path):
    environment = run(tmp_path, Work()).environment
    assert environment["num_cores"] >= 1
    assert environment["python"].startswith("3.")
    path = tmp_path / "output" / "manifest.json"
    values = json.loads(path.read_text())
    assert values["environment"] == environment
    del values["environment"], values["checksum"]  # as the first versions wrote it
    path.write_text(json.dumps(values))
    assert find_manifest(tmp_path / "output").environment == {}


def test_results_are_published_with_their_manifest_and_nothing_else_is_left(
    tmp_path: Path,
) -> None:
    manifest = run(tmp_path, Work())
    files = ["output", "output/deep", "output/deep/result.txt", "output/manifest.json"]
    assert names_in(tmp_path) == files
    assert (tmp_path / "output/deep/result.txt").read_text() == "whole"
    assert find_manifest(tmp_path / "output") == manifest
    assert manifest.config == CONFIG
    assert manifest.metrics == {"num_runs": 1}
    assert manifest.files["deep/result.txt"]["bytes"] == 5


def test_finished_work_is_not_done_again(tmp_path: Path) -> None:
    body = Work()
    assert run(tmp_path, body) == run(tmp_path, body)
    assert len(body.found) == 1


def test_finished_work_is_published_to_a_second_place_without_doing_it(tmp_path: Path) -> None:
    body = Work()
    first = run(tmp_path, body, work_root=tmp_path / "work")
    second = run(tmp_path, body, work_root=tmp_path / "work", output=tmp_path / "elsewhere")
    assert first == second
    assert len(body.found) == 1
    assert (tmp_path / "elsewhere/deep/result.txt").read_text() == "whole"


def test_work_of_other_code_is_done_again(tmp_path: Path) -> None:
    body = Work()
    run(tmp_path, body)
    path = tmp_path / "output/manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["checksum"]  # which older versions did not write
    files = {**manifest["files"], "left-over.txt": {"bytes": 0, "sha256": ""}}
    path.write_text(json.dumps({**manifest, "files": files, "code_version": "older"}))
    (tmp_path / "output/left-over.txt").touch()
    assert run(tmp_path, body).metrics == {"num_runs": 2}
    assert "output/left-over.txt" not in names_in(tmp_path)


@pytest.mark.parametrize(
    "change", [{"code_version": "older"}, {"files": {"lost": {"bytes": 1, "sha256": ""}}}]
)
def test_files_that_somebody_put_into_an_output_are_never_removed(
    change: dict[str, Any], tmp_path: Path
) -> None:
    run(tmp_path, Work())
    path = tmp_path / "output/manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["checksum"]
    files = {**manifest["files"], **change.get("files", {})}
    path.write_text(json.dumps({**manifest, **change, "files": files}))
    (tmp_path / "output/deep/notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"would remove deep/notes\.txt, not made by this program"):
        run(tmp_path, Work())
    assert (tmp_path / "output/deep/notes.txt").read_text() == "mine"
    assert (tmp_path / "output/deep/result.txt").read_text() == "whole"


@pytest.mark.parametrize("has_work_root", [True, False])
def test_an_output_that_lost_a_file_is_published_again(has_work_root: bool, tmp_path: Path) -> None:
    body = Work()
    work_root = tmp_path / "work" if has_work_root else None
    run(tmp_path, body, work_root=work_root)
    (tmp_path / "output/deep/result.txt").unlink()
    run(tmp_path, body, work_root=work_root)
    assert (tmp_path / "output/deep/result.txt").read_text() == "whole"
    assert len(body.found) == (1 if has_work_root else 2)


def test_damaged_results_are_not_published_again(tmp_path: Path) -> None:
    body = Work()
    run(tmp_path, body, work_root=tmp_path / "work")
    (path,) = (tmp_path / "work").glob("*/results/deep/result.txt")
    path.write_text("other")
    run(tmp_path, body, work_root=tmp_path / "work", output=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/deep/result.txt").read_text() == "whole"
    assert len(body.found) == 2


def test_killed_work_is_resumed_with_its_progress(tmp_path: Path) -> None:
    body = Work(failure=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, body)
    assert not (tmp_path / "output").exists()
    assert run(tmp_path, body).metrics == {"num_runs": 2}
    assert body.found == [[], ["checkpoint-1"]]
    assert names_in(tmp_path)[0] == "output"  # and the work folder is gone


def test_bad_input_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="corpus is empty"):
        run(tmp_path, Work(failure=InputError("corpus is empty")))
    assert names_in(tmp_path) == []


def test_bad_input_found_late_keeps_the_progress_of_earlier_runs(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run(tmp_path, Work(failure=RuntimeError("out of memory")))
    with pytest.raises(InputError):
        run(tmp_path, Work(failure=InputError("a file has gone")))
    body = Work()
    run(tmp_path, body)
    assert body.found == [["checkpoint-1"]]


@pytest.mark.parametrize("changes", [{"config": {"size": 4}}, {"inputs": {"corpus": "other"}}])
def test_output_of_other_settings_or_inputs_is_refused(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    run(tmp_path, Work())
    body = Work()
    with pytest.raises(InputError, match="belongs to another configuration"):
        run(tmp_path, body, **changes)
    assert not body.found
    assert find_manifest(tmp_path / "output").config == CONFIG


@pytest.mark.parametrize("name", ["output/letters.txt", "output"])
def test_output_made_by_someone_else_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    body = Work()
    with pytest.raises(InputError, match="was not made by this program"):
        run(tmp_path, body)
    assert not body.found
    assert path.read_text() == "mine"


def test_empty_output_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "output").mkdir()
    run(tmp_path, Work())
    assert (tmp_path / "output/manifest.json").is_file()


def test_same_work_twice_at_once_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_folder, "LOCK_TIMEOUT_S", 0.05)
    second = Work()

    def body(results: Path, progress: Path) -> dict[str, Any]:
        with pytest.raises(InputError, match="another process is doing this very work"):
            run(tmp_path, second)
        return {}

    run(tmp_path, body)
    assert not second.found
    assert find_manifest(tmp_path / "output")


def test_input_folder_must_be_the_finished_output_of_the_named_step(tmp_path: Path) -> None:
    manifest = run(tmp_path, Work())
    assert read_manifest(tmp_path / "output", step="vocab") == manifest
    with pytest.raises(InputError, match=r"made by `albert vocab`, expected .* `albert records`"):
        read_manifest(tmp_path / "output", step="records")
    with pytest.raises(InputError, match=r"no manifest\.json there"):
        read_manifest(tmp_path, step="vocab")


@pytest.mark.parametrize("text", ["{}", "{", "5", '"text"', "[]", '{"metrics": 5}'])
def test_a_file_of_another_kind_is_refused_as_a_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="not a manifest of this program"):
        find_manifest(tmp_path)


def finished_work(folder: Path, **changes: Any) -> Path:
    """Finish work that stays in its work root; return the folder of its results there."""
    manifest = run(folder, Work(), work_root=folder / "work", **changes)
    return folder / "work" / f"vocab-{manifest.fingerprint[:12]}" / "results"


def spoil(path: Path, how: str, other: Path) -> None:
    data = path.read_bytes()
    place = data.find(b"abc") if path.name == "manifest.json" else 0  # an input's hash
    flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    changed = {"flipped": flipped, "cut": data[: len(data) // 2], "swapped": other.read_bytes()}
    path.unlink()
    path.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["flipped", "cut", "swapped"])
@pytest.mark.parametrize("name", ["deep/result.txt", "manifest.json"])
def test_any_damage_to_finished_work_is_named_and_the_work_done_again(
    how: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = finished_work(tmp_path)
    other = finished_work(tmp_path / "other", config={"size": 4})
    (other / "deep/result.txt").write_text("WHOLE")
    spoil(results / name, how, other / name)
    body = Work()
    run(tmp_path, body, work_root=tmp_path / "work", output=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/deep/result.txt").read_text() == "whole"
    assert len(body.found) == 1
    assert f"{results}: damaged (" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_output_is_published_again(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = Work()
    run(tmp_path, body, work_root=tmp_path / "work")
    path = tmp_path / "output/deep/result.txt"
    spoil(path, how, path)
    run(tmp_path, body, work_root=tmp_path / "work")
    assert path.read_text() == "whole"
    assert len(body.found) == 1
    assert "output: damaged (deep/result.txt " in capsys.readouterr().err


def test_an_output_with_a_damaged_manifest_is_published_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = Work()
    manifest = run(tmp_path, body, work_root=tmp_path / "work")
    path = tmp_path / "output/manifest.json"
    spoil(path, "flipped", path)
    with pytest.raises(InputError, match=r"manifest\.json: damaged .* delete this folder"):
        find_manifest(tmp_path / "output")
    assert run(tmp_path, body, work_root=tmp_path / "work") == manifest
    assert find_manifest(tmp_path / "output") == manifest
    assert "output: damaged (manifest.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    "failure", [WriteConflictError("another run was faster"), InputError("no such bucket")]
)
def test_results_of_hours_stay_if_they_cannot_be_published(
    failure: InputError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Work()

    def refuse(*_: object) -> None:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(outputs.LocalOutput, "publish", refuse)
        with pytest.raises(type(failure)):
            run(tmp_path, body)
    assert run(tmp_path, body).metrics == {"num_runs": 1}
    assert names_in(tmp_path)[0] == "output"
