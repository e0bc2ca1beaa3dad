"""Answers in scripts whose letters normalisation takes apart come back from their tokens."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from albert_core.finetuning.alignment import Aligner
from albert_core.finetuning.letter_clusters import find_letter_clusters
from albert_core.tasks import Answer, Question
from albert_core.tokenization import Tokenizer, WordPieceTokenizer, load_tokenizer
from albert_core.tokenization.text import preprocess_text
from tests.helpers.answer_coverage import answer_coverage

NUM_WORDS, WORDS_OF_A_CONTEXT = 300, 120
WordMaker = Callable[[random.Random], str]


def letters(first: int, last: int) -> list[str]:
    return [chr(code) for code in range(first, last + 1)]


def syllables(consonants: list[str], vowels: list[str], virama: str) -> WordMaker:
    def word(rng: random.Random) -> str:
        parts = []
        for _ in range(rng.randint(1, 4)):
            parts.append(rng.choice(consonants))
            if rng.random() < 0.15:
                parts += [virama, rng.choice(consonants)]
            if rng.random() < 0.6:
                parts.append(rng.choice(vowels))
        return "".join(parts)

    return word


def of_letters(alphabet: list[str]) -> WordMaker:
    """Return a maker of words that begin with the first letter: a word of marks alone is none."""
    return lambda rng: alphabet[0] + "".join(rng.choices(alphabet, k=rng.randint(1, 5)))


def thai(rng: random.Random) -> str:
    choices = (["", "เ", "แ"], letters(0xE01, 0xE2E), ["", "่", "้"], ["", "ำ", "า", "ุ"])
    return "".join(rng.choice(c) for _ in range(rng.randint(2, 6)) for c in choices)


SCRIPTS: dict[str, WordMaker] = {
    "korean": of_letters(letters(0xAC00, 0xD7A3)[::13]),
    "hindi": syllables([*letters(0x915, 0x939), "\u0958", "\u095c"], letters(0x93E, 0x94C), "्"),
    "tamil": syllables(list("கஙசஞடணதநபமயரல"), letters(0xBC6, 0xBC8) + letters(0xBCA, 0xBCC), "்"),
    "thai": thai,
    "arabic": of_letters([*"ابتثجحخدسشعغفقكلمنهويأإآىؤ", "\u064e", "\u0651"]),
}


def vocabulary(folder: Path, words: list[str], rule: str, rng: random.Random) -> Tokenizer:
    lines = [" ".join(rng.choices(words, k=12)) for _ in range(400)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([preprocess_text(line, lower_case=True) for line in lines]),
        model_writer=model,
        vocab_size=1500,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name=rule,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        control_symbols=["[CLS]", "[SEP]"],
        user_defined_symbols=["[MASK]"],
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(model.getvalue())
    return load_tokenizer(folder / "spiece.model", lower_case=True)


def questions(words: list[str], joint: str, rng: random.Random) -> list[Question]:
    made = []
    for number in range(200):
        context = rng.choices(words, k=WORDS_OF_A_CONTEXT)
        first = rng.randrange(WORDS_OF_A_CONTEXT - 5)
        start = len(joint.join([*context[:first], ""]))
        answer = Answer(joint.join(context[first : first + rng.randint(1, 5)]), start)
        text = joint.join(context) + rng.choice([".", " … 3½ (x)"])
        made.append(Question(id=str(number), question="?", context=text, answers=(answer,)))
    return made


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("rule", ["nmt_nfkc", "identity"])  # puts letters together again, or not
def test_answers_come_back(script: str, rule: str, tmp_path: Path) -> None:
    rng = random.Random(1)
    words = [SCRIPTS[script](rng) for _ in range(NUM_WORDS)]
    tokenizer = vocabulary(tmp_path, words, rule, rng)
    joint = "" if script == "thai" else " "
    coverage = answer_coverage(questions(words, joint, rng), tokenizer)
    assert coverage.num_answers == 200
    assert coverage.num_kept / coverage.num_answers >= 0.995, coverage
    assert coverage.causes.keys() <= {"ends inside a piece or word"}


def test_marks_at_the_end_of_a_token_belong_to_it(tokenizer: Tokenizer) -> None:
    plain, marked = Aligner(tokenizer).align(["the cat sat", "the cat\u0301\u0302 sat"])
    assert plain is not None
    assert marked is not None
    texts = [
        marked.text[s : e + 1].strip() for s, e in zip(marked.starts, marked.ends, strict=True)
    ]
    assert "".join(texts) == "thecat\u0301\u0302sat"
    assert np.array_equal(plain.ids, marked.ids)


@pytest.mark.parametrize(
    ("text", "begins", "ends"),
    [
        ("กำเ", [0, 0, 2], [1, 1, 2]),  # SARA AM, which becomes two characters, and a vowel before
        ("ด้ำ", [0, 0, 0], [2, 2, 2]),  # a tone mark in another order than NFKD puts it
        ("\u0301ab", [0, 1, 2], [0, 1, 2]),  # a mark of nothing
        ("a\u0301\u0302b", [0, 0, 0, 3], [2, 2, 2, 3]),
        ("किताब", [0, 0, 2, 2, 4], [1, 1, 3, 3, 4]),
    ],
)
def test_letters_are_not_divided_from_their_marks(text, begins, ends) -> None:
    clusters = find_letter_clusters(text)
    if clusters is None:
        assert begins == ends == list(range(len(text)))
    else:
        assert (clusters.begins.tolist(), clusters.ends.tolist()) == (begins, ends)


def test_a_span_begins_at_no_vowel_of_the_word_before(tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ด", "##ำเ", "##ข"]
    aligned = Aligner(WordPieceTokenizer(pieces, lower_case=False)).align(["ดำเข"])[0]
    assert aligned is not None
    assert (aligned.starts.tolist(), aligned.ends.tolist()) == ([0, 2, 3], [1, 2, 3])
    assert [aligned.span_tokens(0, 2), aligned.span_tokens(2, 2)] == [(0, 0), (1, 2)]
