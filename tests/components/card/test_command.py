"""`albert card` writes a card, and over nothing else."""

import shutil

import pytest

from albert_core.errors import InputError
from components.export.card.config import CardConfig
from pipeline.cli.main import main
from tests.helpers.model_cards import card, header_of


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"license": "mit\nlanguage: xx"}, "card.license: got several lines"),
        ({"tags": ("a\u2028b",)}, "card.tags: got several lines"),
        ({"watts": -1.0}, "card.watts: got -1.0"),
        ({"price_per_hour": float("nan")}, "card.price_per_hour: got nan"),
        ({"watts": 1.0, "energy_kwh": 1.0}, "beside card.energy_kwh"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, reason):
    with pytest.raises(InputError, match=reason):
        CardConfig(**settings)


def test_the_command_writes_the_card(run, lineage, tmp_path, capsys):
    output = tmp_path / "README.md"
    command = ["card", str(run / "tuned"), "--output", str(output)]
    assert main([*command, "--run", str(run), "--card.languages", "en,de"]) == 0
    assert output.read_text() == card(run, lineage, card=CardConfig(languages=("en", "de")))
    assert "from vocab, records, records, pretrain, finetune, evaluate" in capsys.readouterr().out
    assert main([*command, "--run", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_the_command_writes_over_a_card_but_over_nothing_else(run, tmp_path, capsys):
    vocabulary, output = tmp_path / "spiece.model", tmp_path / "README.md"
    shutil.copy(run / "tuned" / "spiece.model", vocabulary)
    before = vocabulary.read_bytes()
    assert main(["card", str(run / "tuned"), "--output", str(vocabulary)]) == 2
    assert "exists and is not a card as this program wrote it" in capsys.readouterr().err
    assert vocabulary.read_bytes() == before

    command = ["card", str(run / "tuned"), "--output", str(output)]
    assert main([*command, "--card.license", "mit"]) == 0
    assert main([*command, "--card.license", "apache-2.0"]) == 0
    assert header_of(output.read_text())["license"] == "apache-2.0"
    edited = output.read_text().replace("## Model", "## Our model")
    output.write_text(edited)
    assert main(command) == 2
    assert output.read_text() == edited
    assert main(["card", str(run / "tuned"), "--output", str(tmp_path)]) == 2
    assert "got a folder" in capsys.readouterr().err
