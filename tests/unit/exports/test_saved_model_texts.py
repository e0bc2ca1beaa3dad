"""A SavedModel reads real and mixed texts as the tokenizer in Python does."""

import dataclasses
import random
from pathlib import Path

import tensorflow as tf

from albert_core.exports.saved_model import write_saved_model
from albert_core.finetuning.features import make_features
from albert_core.tokenization import SentencePieceTokenizer
from tests.helpers.archives import article_lines, read_member
from tests.helpers.checkpoint_samples import (
    classifier,
)
from tests.helpers.export_samples import SINGLE
from tests.helpers.saved_models import assert_close, examples_of, in_python, served

WORDS = (
    "naïve Ångström ÉCOLE Straße ΟΔΥΣΣΕΥΣ Σ привет ЁЖИК שָׁלוֹם مَرْحَبًا नमस्ते สวัสดี 東京 "
    "한국어 ﬁne ½ x² Ⅻ １，２３４ 1,000 12,345,678 1999, 3,14 ①② 🙂 👩\u200d🚀 🇫🇷 “quoted” "
    "‘it’s’ ``so'' «non» — … can't U.S. $5.00 [CLS] <unk> ▁"
)


def mixed_unicode(count: int) -> list[str]:
    """Return texts of many scripts with accents, emoji, marks, quotes and odd spaces and digits."""
    rng = random.Random(11)
    marks = ["e\u0301", "a\u0308\u0323", "\u200b", "\ufeff", "\u00ad", "\0", "\u2028"]
    words = [*WORDS.split(" "), *marks]
    spaces = [" ", "  ", "\u00a0", "\t", "\u3000", "\n", ""]
    return [
        "".join(rng.choice(words) + rng.choice(spaces) for _ in range(rng.randrange(1, 25)))
        for _ in range(count)
    ]


def test_real_and_mixed_texts_have_the_same_probabilities(shared: Path, tmp_path: Path) -> None:
    """2,000 sentences of Simple Wikipedia and 200 mixed texts, with the released vocabulary."""
    model = read_member(shared, "spm", "spm/albert_v1v2/spiece.model")
    own = SentencePieceTokenizer(model, lower_case=True)
    config = dataclasses.replace(SINGLE, vocab_size=len(own), max_position_embeddings=128)
    checkpoint = classifier(3, config, tokenizer=own, finetuning={"sequence_length": 96})
    (tmp_path / "saved").mkdir()
    write_saved_model(checkpoint, tmp_path / "saved")
    corpus = read_member(shared, "corpus_simplewiki", "corpus/simplewiki/AA/wiki_00")
    texts = [*article_lines(corpus)[:2000], *mixed_unicode(200)]
    outputs = served(tmp_path / "saved", text=texts)
    features = make_features(examples_of(texts), own, 96)
    logits = tf.constant(in_python(checkpoint, features)["logits"])
    assert len(texts) == 2200
    assert_close(outputs["probabilities"], tf.nn.softmax(logits))
