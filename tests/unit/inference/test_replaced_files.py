"""A loaded model answers from memory, and is one model: its files may be replaced meanwhile."""

import shutil
from pathlib import Path

import pytest
from conftest import SENTENCES

import albert_core
from albert_core.exports.formats import FORMATS, ExportFormat, find_export_format
from tests.helpers.served_models import Export, SaveModel

# Keras, writing an archive, calls numpy in a way that it announces to change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def check_that_files_are_not_needed(folder: Path) -> None:
    """Load a model, predict, damage all of its files in place, and predict again."""
    predictor = albert_core.load(folder).predictor()
    before = predictor.predict([{"text": text} for text in SENTENCES[:2]])
    for file in filter(Path.is_file, folder.rglob("*")):
        # In place, as cp does: whoever has the file mapped into memory sees it.
        file.write_bytes(b"\xff" * min(file.stat().st_size, 1000))
    assert predictor.predict([{"text": text} for text in SENTENCES[:2]]) == before
    shutil.rmtree(folder)
    assert len(predictor.predict([{"text": "word " * 15}])) == 1  # of another length


@pytest.mark.parametrize("to", FORMATS)
def test_a_replaced_export_changes_nothing(
    export: Export, tmp_path: Path, to: ExportFormat
) -> None:
    folder = tmp_path / to
    shutil.copytree(export("topic", to), folder)
    check_that_files_are_not_needed(folder)


def test_a_replaced_checkpoint_changes_nothing(save_model: SaveModel, tmp_path: Path) -> None:
    check_that_files_are_not_needed(save_model("topic", tmp_path / "topic"))


def test_a_place_that_is_replaced_while_it_is_read_gives_one_model(
    save_model: SaveModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (save_model(task, tmp_path / "artifacts" / task) for task in ("topic", "sea"))
    place, replacement = tmp_path / "place", tmp_path / "replacement"
    place.symlink_to(old)
    replacement.symlink_to(new)

    def replace_and_find(folder: Path) -> ExportFormat | None:
        replacement.rename(place)
        return find_export_format(folder)

    monkeypatch.setattr("albert_core.inference.loading.find_export_format", replace_and_find)
    assert albert_core.load(place).name == "topic"
    monkeypatch.undo()
    assert albert_core.load(place).name == "sea"
