"""Pretraining on records that `albert records` did not make, and on Chinese ones."""

import pytest

from albert_core.corpus import CorpusConfig
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.records.config import RecordsConfig
from albert_core.tokenization import load_tokenizer
from albert_core.tokenization.config import VocabConfig
from components.pretrain.step import pretrain
from components.records.step import make_records
from components.vocab.step import train_vocab
from tests.helpers.archives import read_member

OVERRIDES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "embedding_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "initializer_range": 0.1,
}
MODEL = ModelConfig(preset="tiny", overrides=OVERRIDES)


def short_pretraining(**settings):
    return PretrainingConfig(
        optimizer="adamw",
        learning_rate=0.003,
        num_warmup_steps=2,
        jit_compile=False,  # XLA compiles for longer than these steps take
        **{"num_train_steps": 20, "evaluation_interval_steps": 10, "batch_size": 16, **settings},
    )


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "name",
    ["exact_default_L64", "exact_nowwm_longer_L64", "exact_nsp_L64", "exact_perm_L64"],
)
def test_records_of_the_original_train(name, goldens, tmp_path):
    manifest = pretrain(
        records=goldens / "pretrain_data" / f"{name}.tfrecord",
        vocab=goldens / "tokenizer" / "2k-clean.model",
        model=MODEL,
        config=short_pretraining(num_train_steps=5, evaluation_interval_steps=5, batch_size=64),
        output=tmp_path / "model",
    )
    assert manifest.metrics["num_epochs"] > 2
    assert 0 < manifest.metrics["masked_lm_loss"] < 8


def test_chinese_text_becomes_wordpiece_records_and_trains(shared, tmp_path):
    text = read_member(shared, "corpus_zhwiki", "corpus/zhwiki/AA/wiki_00")
    (tmp_path / "wiki").write_bytes(text[: text.rindex(b"<doc", 0, 1_000_000)])
    corpus = CorpusConfig(files=(str(tmp_path / "wiki"),), format="wikiextractor", language="zh")
    vocab, records = tmp_path / "vocab", tmp_path / "records"
    described = train_vocab(
        corpus=corpus, config=VocabConfig(kind="wordpiece", size=8000), output=vocab
    ).metrics
    assert described["unknown_fraction"] < 0.002
    figures = make_records(
        corpus=corpus,
        vocab=vocab,
        cleaning=CleaningConfig(min_characters=50),
        config=RecordsConfig(sequence_length=64, held_out_fraction=0.05, num_shards=2),
        output=records,
    ).metrics
    assert figures["unknown_fraction"] == pytest.approx(described["unknown_fraction"], abs=0.002)
    assert figures["predicted_fraction"] == pytest.approx(0.15, abs=0.01)
    trained = pretrain(
        records=records,
        vocab=vocab,
        model=MODEL,
        config=short_pretraining(num_train_steps=150, evaluation_interval_steps=150),
        output=tmp_path / "model",
    ).metrics
    tokenizer = load_tokenizer(tmp_path / "model")
    assert tokenizer.tokenize("北京") == ["北", "京"]
    assert trained["masked_lm_accuracy"] > figures["most_frequent_fraction"] / 2
