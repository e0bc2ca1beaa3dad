"""Answers to questions about contexts."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from albert_core.finetuning.answer_search import search_answers
from albert_core.finetuning.answers import Answers, candidate_probabilities
from albert_core.finetuning.batches import pad_answerability_inputs, pad_inputs
from albert_core.finetuning.prediction import DEFAULT_BATCH_SIZE
from albert_core.finetuning.question_features import QuestionFeatures, make_question_features
from albert_core.inference.examples import to_question
from albert_core.inference.predictions import (
    AnswerSpan,
    InvalidExample,
    PredictedAnswer,
    Prediction,
)
from albert_core.inference.predictor import Predictor
from albert_core.tasks import Question

if TYPE_CHECKING:
    from albert_core.inference.loaded_model import LoadedModel

_UNALIGNED = InvalidExample(
    what="context",
    got="a text that its pieces do not match",
    expected="text in the vocabulary's language",
)


class AnswerPredictor(Predictor):
    """Answers questions about contexts, long ones in windows that overlap."""

    def __init__(
        self,
        model: "LoadedModel",
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        on_batch: Callable[[int], None] | None = None,
    ) -> None:
        """Take vocabulary, settings and null threshold from the model; nothing is run yet.

        A question may have as many tokens as the settings say, or half a sequence if that is less.

        Raises:
            InputError: The model has no vocabulary.
        """
        super().__init__(model, batch_size=batch_size, on_batch=on_batch)
        questions = self.settings.questions
        # Half of a sequence is for the context, or a long question would leave it no place.
        self._max_query_length = min(questions.max_query_length, self.settings.sequence_length // 2)
        self._threshold = model.null_threshold if self.signature.has_unanswerable else None
        self._pad = pad_answerability_inputs if model.reads_answer_mask else pad_inputs

    def predict(self, examples: Sequence[Any]) -> list[Prediction | InvalidExample]:
        """Return an answer to each question, or what is wrong with its context, in their order.

        A context is invalid if too little of it is in its tokens to say where an answer begins.

        Raises:
            InputError: An example has not the fields of a question.
        """
        questions = [
            to_question(example, number, self.signature) for number, example in enumerate(examples)
        ]
        encoded = self._encode(questions)
        # Not left to `search_answers`: the model is not run then.
        if not encoded.windows:
            return [_UNALIGNED] * len(questions)
        answers = search_answers(
            questions,
            encoded.windows,
            self.outputs(encoded.features, self._pad),
            self.settings.questions,
            has_unanswerable=self.signature.has_unanswerable,
        )
        with_windows = {window.question for window in encoded.windows}
        return [
            self._prediction(question, answers) if number in with_windows else _UNALIGNED
            for number, question in enumerate(questions)
        ]

    def _encode(self, questions: Sequence[Question]) -> QuestionFeatures:
        """Return the windows over the questions' contexts; none where a context is not aligned.

        Questions lose their ends after the most tokens they may have; contexts are never cut.
        """
        return make_question_features(
            questions,
            self.tokenizer,
            sequence_length=self.settings.sequence_length,
            doc_stride=self.settings.questions.doc_stride,
            max_query_length=self._max_query_length,
            with_answers=False,
        )

    def _prediction(self, question: Question, answers: Answers) -> PredictedAnswer:
        """Return a question's answer: its best candidate, or "" if there is none.

        There is none if no part of the context can be it, or if the null odds are at the threshold
        or above; the candidates come with it in any case.
        """
        spans = answers.candidates[question.id]
        candidates = [
            AnswerSpan(**dataclasses.asdict(span), probability=float(probability))
            for span, probability in zip(spans, candidate_probabilities(spans), strict=True)
        ]
        best = candidates[0] if candidates else None
        null_odds = answers.null_odds.get(question.id)
        is_null = (
            self._threshold is not None and null_odds is not None and null_odds >= self._threshold
        )
        return PredictedAnswer(
            answer=best.text if best and not is_null else "",
            start=best.start if best and not is_null else None,
            probability=best.probability if best else 0.0,
            null_odds=null_odds,
            null_threshold=self._threshold,
            candidates=candidates,
            is_truncated=len(self.tokenizer.encode(question.question)) > self._max_query_length,
        )
