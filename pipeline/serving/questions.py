"""Questions about texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from albert_core.finetuning.answer_search import Answers, find_answers, find_answers_or_none
from albert_core.finetuning.batches import answer_mask, pad_inputs
from albert_core.finetuning.features import Features
from albert_core.finetuning.question_features import QuestionFeatures, make_question_features
from albert_core.model_function import ModelInputs
from albert_core.tasks import Question
from pipeline.serving import schemas
from pipeline.serving.errors import RequestError
from pipeline.serving.predictor import Item, Prediction, Predictor, rounded

_UNALIGNED = RequestError(
    422, "context", "a text that its pieces do not match", "text in the vocabulary's language"
)


class AnswerPredictor(Predictor):
    """Questions about texts."""

    def sample(self, text: str) -> Item:
        """Return an example with a text that can be answered."""
        return {"question": text, "context": text, "top_k": 1}

    def predict(self, items: Sequence[Item]) -> list[Prediction]:
        """Return a prediction for each question, or that its context has no pieces of its own."""
        questions = [
            Question(id=str(number), question=item["question"], context=item["context"])
            for number, item in enumerate(items)
        ]
        made = self._made(questions)
        if not made.windows:
            return [_UNALIGNED] * len(items)
        answers = self._answers(questions, made)
        best = answers.best(self._threshold)
        n_best = answers.n_best()
        has_windows = {window.question for window in made.windows}
        return [
            self._prediction(item, best[str(number)], n_best[str(number)], answers, number)
            if number in has_windows
            else _UNALIGNED
            for number, item in enumerate(items)
        ]

    @property
    def _threshold(self) -> float | None:
        return self.model.null_threshold if self.model.has_unanswerable else None

    @property
    def _max_query_length(self) -> int:
        """Pieces of a question; half of what is read is for the context."""
        longest = self.settings.questions.max_query_length
        return min(longest, self.settings.sequence_length // 2)

    def _made(self, questions: Sequence[Question]) -> QuestionFeatures:
        return make_question_features(
            questions,
            self.model.tokenizer,
            sequence_length=self.settings.sequence_length,
            doc_stride=self.settings.questions.doc_stride,
            max_query_length=self._max_query_length,
            with_answers=False,
        )

    def _inputs(self, features: Features, examples: np.ndarray, length: int) -> ModelInputs:
        inputs = pad_inputs(features, examples, length)
        return inputs | {"p_mask": answer_mask(inputs)} if self.model.has_unanswerable else inputs

    def _answers(self, questions: Sequence[Question], made: QuestionFeatures) -> Answers:
        find = find_answers_or_none if self.model.has_unanswerable else find_answers
        return find(
            questions,
            made.windows,
            self._outputs(made.features),
            n_best_size=self.settings.questions.n_best_size,
            max_answer_length=self.settings.questions.max_answer_length,
        )

    def _prediction(
        self,
        item: Item,
        answer: str,
        n_best: Sequence[Mapping[str, Any]],
        answers: Answers,
        number: int,
    ) -> Prediction:
        candidates = [_rounded_candidate(candidate) for candidate in n_best[: item["top_k"]]]
        null_odds = answers.null_odds.get(str(number))
        return schemas.AnswerPrediction(
            answer=answer,
            probability=candidates[0].probability,
            null_odds=None if null_odds is None else rounded(null_odds),
            null_threshold=self._threshold,
            n_best=candidates,
            is_truncated=len(self.model.tokenizer.encode(item["question"]))
            > self._max_query_length,
        )


def _rounded_candidate(values: Mapping[str, Any]) -> schemas.AnswerCandidate:
    numbers = {name: rounded(value) for name, value in values.items() if name != "text"}
    return schemas.AnswerCandidate(text=values["text"], **numbers)
