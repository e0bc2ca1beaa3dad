"""Untrained models of every kind, and their exports, each written once for all tests here."""

import functools
from pathlib import Path

import pytest

from albert_core.checkpoints import read_checkpoint
from albert_core.exports.formats import ExportFormat, write_format
from albert_core.tokenization import SentencePieceTokenizer
from tests.helpers.served_models import (
    TASKS_BY_NAME,
    UNDECLARED,
    Export,
    SaveModel,
    save_pretrained_model,
    save_task_model,
    save_undeclared_model,
)


@pytest.fixture(scope="session")
def save_model(tokenizer: SentencePieceTokenizer) -> SaveModel:
    """Write a model of a kind into a folder of this program."""

    def save(kind: str, folder: Path) -> Path:
        if kind == "pretrained":
            return save_pretrained_model(folder, tokenizer)
        if kind in UNDECLARED:
            return save_undeclared_model(folder, kind, tokenizer)
        return save_task_model(folder, TASKS_BY_NAME[kind], tokenizer)

    return save


@pytest.fixture(scope="session")
def export(save_model: SaveModel, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return the folder of a kind's model in a format, written once."""

    @functools.cache
    def write(kind: str, to: ExportFormat) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        checkpoint = read_checkpoint(save_model(kind, folder / "model"))
        write_format(checkpoint, folder / to, to=to)
        return folder / to

    return write
