"""Words that are masked as a whole are those of the text, in every script."""

import itertools
import re

import numpy as np
import pytest

from albert_core.records.config import MaskingConfig, RecordsConfig
from albert_core.records.masking import mask_pairs
from albert_core.records.shards import ShardBuilder
from albert_core.records.static import token_boundaries
from albert_core.tokenization import Tokenizer
from albert_core.tokenization.sentencepiece import _starts_word
from albert_core.tokenization.sentencepiece_training import train_sentencepiece
from albert_core.tokenization.word_borders import BEGINS_WORD, ENDS_WORD, is_english
from tests.helpers.segment_samples import make_segment_pairs

# Words end at spaces and at |.
TEXTS = {
    "russian": (
        "В 1987 году учёные изучали русско|-|турецкую войну|, но подъезд был закрыт|.",
        "«|Объявление|» вышло 25|.|12|.|2003|; цены выросли на 38|%|.",
        "Изучение языка требует изучения слов|: учёный учит учеников|.",
        "Война и мир|, мировая война|, подъезды и подъёмы|, русские и турецкие слова|.",
    ),
    "greek": (
        "Η γλώσσα των Ελλήνων άλλαξε από το 1453 έως το 1821|.",
        "Οι λέξεις της γλώσσας|, όπως ο Σίσυφος|, τελειώνουν σε σίγμα|·| δύο σίγμα|.",
        "Γλώσσες και λέξεις|: ελληνικές|, αλλαγμένες|, τελειωμένες|.",
    ),
    "german": (
        "Die größte Straße heißt Großstraße|, die Fußgänger grüßen außen|.",
        "Straßen|-| und Fußgängerzonen sind 2019 größer geworden|; „|Grüße|“ schließen Briefe|.",
        "Außerdem heißen Straßen 17|. Juni oder Weiße Gasse|.",
    ),
    "turkish": (
        "Işıklı sokaklarda kışın ışıklar yanınca karşılaştık|.",
        "Diyarbakır|'|ın kalabalık sokaklarında 1998 yılında yaşadılar|.",
        "Kırmızı ışıkta kaldırımda kalanlar|, sıcak yazın yaşadıkları|.",
    ),
    "hindi": (
        "हिन्दी भाषा में शब्दों की संख्या 1950 में बढ़ी|।",
        "किताबों और किताबघरों में भाषाओं की किताबें हैं|, हिन्दी|-|उर्दू भी|।",
        "शब्द|, शब्दकोश और भाषाविज्ञान की पढ़ाई १९५० से|।",
    ),
    "chinese": (
        "他|在|1999|年|用|iphone|手|机|给|北|京|的|朋|友|打|电|话|。",
        "中|国|手|机|用|户|达|到|12|.|5|亿|，|iphone|用|户|在|北|京|。",
        "北|京|朋|友|的|电|话|，|中|国|朋|友|的|手|机|，|在|2008|年|，|用|phone|。",
    ),
}
SIZES = {"russian": 72, "greek": 57, "german": 61, "turkish": 60, "hindi": 58, "chinese": 58}


def words_of(line: str) -> list[str]:
    return [word for word in re.split(r"[| ]", line) if word]


def plain(line: str) -> str:
    return line.replace("|", "")


@pytest.fixture(params=TEXTS)
def texts_and_tokenizer(request: pytest.FixtureRequest) -> tuple[tuple[str, ...], Tokenizer]:
    lines = TEXTS[request.param]
    tokenizer = train_sentencepiece(
        [plain(line) for line in lines] * 3,
        size=SIZES[request.param],
        character_coverage=1.0,
        lower_case=True,
    )
    return lines, tokenizer


def starts_of(tokenizer: Tokenizer, ids: list[int]) -> list[bool]:
    borders = tokenizer.word_borders()
    befores = [ENDS_WORD, *(borders[index] & ENDS_WORD for index in ids)]
    return [bool(borders[index] & BEGINS_WORD or b) for index, b in zip(ids, befores, strict=False)]


def test_words_are_those_of_the_text(texts_and_tokenizer) -> None:
    lines, tokenizer = texts_and_tokenizer
    num_inside = 0
    for line in lines:
        lengths = [len(tokenizer.preprocess(word)) for word in words_of(line)]
        begins = {0, *itertools.accumulate(lengths)}
        offset, is_after_mark = 0, False
        tokens = tokenizer.tokenize(plain(line))
        for token, starts in zip(
            tokens, starts_of(tokenizer, tokenizer.token_ids(tokens)), strict=True
        ):
            if token == "▁":  # the beginning of the word whose letters are the next token
                assert starts
            elif not is_after_mark:
                assert starts == (offset in begins), (line, token)
                num_inside += not starts
            is_after_mark = token == "▁"
            offset += len(token.replace("▁", ""))
    assert num_inside > 5


def test_words_are_masked_as_a_whole(texts_and_tokenizer) -> None:
    lines, tokenizer = texts_and_tokenizer
    ids = [tokenizer.encode(plain(line)) for line in lines]
    pairs = make_segment_pairs([(first, second) for first in ids for second in ids] * 20)
    borders = tokenizer.word_borders()
    batch = mask_pairs(
        pairs,
        config=MaskingConfig(max_ngram=1),
        sequence_length=256,
        word_starts=borders,
        special_ids=tokenizer.special_ids,
    )
    is_predicted = np.zeros((len(pairs), 257), bool)
    rows, slots = np.nonzero(batch["masked_lm_weights"])
    is_predicted[rows, batch["masked_lm_positions"][rows, slots]] = True
    begins = token_boundaries(batch, borders, tokenizer.special_ids)
    # A position inside a word has the fate of the position before it.
    inside = (batch["input_mask"] > 0) & (begins == 0)
    inside[:, 1:] &= batch["segment_ids"][:, 1:] == batch["segment_ids"][:, :-1]
    rows, positions = np.nonzero(inside)
    assert len(rows) > 100
    assert (is_predicted[rows, positions] == is_predicted[rows, positions - 1]).all()


def test_compat_original_follows_the_originals_rule(texts_and_tokenizer) -> None:
    _, tokenizer = texts_and_tokenizer
    original = [_starts_word(piece) for piece in tokenizer.pieces]
    builders = {
        compat: ShardBuilder.from_tokenizer(tokenizer, RecordsConfig(compat=compat))
        for compat in ("none", "original")
    }
    assert builders["original"].word_starts.tolist() == original
    assert builders["none"].word_starts.tolist() != original


def test_a_vocabulary_of_letters_is_of_their_script() -> None:
    pieces = ["▁", "▁в", "о", "д", "а", "x"]
    assert not is_english(pieces, word_start="▁")
    assert is_english(["▁", "▁w", "a", "ter", "s", "о"], word_start="▁")
    assert not is_english(["▁", "▁w", "a", "ter", "s", "ßer"], word_start="▁")


def test_vocabularies_of_english_follow_the_originals_rule(tokenizer: Tokenizer) -> None:
    expected = [_starts_word(piece) for piece in tokenizer.pieces]
    assert tokenizer.word_borders().tolist() == tokenizer.word_starts().tolist() == expected
