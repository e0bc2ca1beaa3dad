"""Tags of the words of texts, and the entities that they make."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from albert_core.finetuning.token_evaluator import word_probabilities
from albert_core.finetuning.token_features import make_token_features
from albert_core.inference.examples import SplitText, to_split_text
from albert_core.inference.predictions import (
    InvalidExample,
    PredictedTags,
    Prediction,
    TaggedEntity,
    TaggedWord,
)
from albert_core.inference.predictor import Predictor
from albert_core.tasks import TaggedSentence
from albert_core.tasks.entities import find_entities, is_entity_tag

_NO_WORDS = InvalidExample(what="text", got="no word", expected="a text with words")
_BLANK_WORD = InvalidExample(what="text", got="a blank word", expected="words")


class TagPredictor(Predictor):
    """Predicts a tag for each word, long texts in windows that overlap."""

    def predict(self, examples: Sequence[Any]) -> list[Prediction | InvalidExample]:
        """Return the tags of each text's words, or why it has none, in the order of the texts.

        A text without words is invalid, and so is a list of words of which one is blank.

        Raises:
            InputError: An example is neither a text nor a list of words.
        """
        texts = [
            to_split_text(example, number, self.signature)
            for number, example in enumerate(examples)
        ]
        usable = [text for text in texts if _is_usable(text)]
        sentences = [TaggedSentence(id="", words=text.words) for text in usable]
        encoded = make_token_features(sentences, self.tokenizer, self.settings.sequence_length)
        logits = self.outputs(encoded.features)["logits"] if usable else ()
        num_words = [len(text.bounds) for text in usable]
        probabilities = word_probabilities(encoded.windows, logits, num_words)
        predictions = iter(
            self._prediction(text, text_probabilities, is_truncated=index in encoded.cut_sentences)
            for index, (text, text_probabilities) in enumerate(
                zip(usable, probabilities, strict=True)
            )
        )
        return [next(predictions) if _is_usable(text) else _explain(text) for text in texts]

    def _prediction(
        self, text: SplitText, probabilities_WC: np.ndarray, *, is_truncated: bool
    ) -> PredictedTags:
        """Return the likeliest tag of each word, and the entities, if all tags say where these are.

        Args:
            text: A text with its words, at least one.
            probabilities_WC: A row of probabilities for every word, in their order, also of a
                truncated text; columns in the order of the labels. If several are equal, the first
                wins.
            is_truncated: Whether a word was cut; only passed on.
        """
        labels = self.signature.labels
        words = [
            TaggedWord(
                word=word,
                label=labels[probabilities_C.argmax()],
                start=start,
                end=end,
                probability=float(probabilities_C.max()),
            )
            for word, (start, end), probabilities_C in zip(
                text.words, text.bounds, probabilities_WC, strict=True
            )
        ]
        return PredictedTags(
            words=words,
            entities=_join_entities(text.text, words) if all(map(is_entity_tag, labels)) else [],
            is_truncated=is_truncated,
        )


def _explain(text: SplitText) -> InvalidExample:
    """Return why a text is not usable."""
    return _BLANK_WORD if text.words else _NO_WORDS


def _is_usable(text: SplitText) -> bool:
    """Return whether there are words, and none of them is blank."""
    return bool(text.words) and all(word.strip() for word in text.words)


def _join_entities(text: str, words: Sequence[TaggedWord]) -> list[TaggedEntity]:
    """Return the entities that the tags of a text's words make, in their order.

    An entity reaches from its first word's begin to its last one's end, with what is between them
    in the text; its probability is the mean of its words'.
    """
    entities = []
    for entity in find_entities([word.label for word in words]):
        parts = words[entity.first : entity.last + 1]
        start, end = parts[0].start, parts[-1].end
        entities.append(
            TaggedEntity(
                text=text[start:end],
                label=entity.type,
                start=start,
                end=end,
                probability=sum(part.probability for part in parts) / len(parts),
            )
        )
    return entities
