"""Classification, regression and multiple choice.

Shape suffixes: C classes or choices.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from albert_core.finetuning.features import Features, make_features
from albert_core.tasks import Example
from albert_core.tasks.race_file import fill_blank
from pipeline.serving import schemas
from pipeline.serving.predictor import Item, Prediction, Predictor, rounded

_ENDLESS = 1 << 30


class TextPredictor(Predictor):
    """Classification, regression and multiple choice."""

    def sample(self, text: str) -> Item:
        """Return an example with a text that can be answered."""
        values = {"text": text, "texts": [text, text]}
        fields = schemas.fields_of(self.model)
        return {name: values[what] for name, what in fields.items() if what in values}

    def predict(self, items: Sequence[Item]) -> list[Prediction]:
        """Return a prediction for each example."""
        examples = [
            Example(id=str(number), texts=_texts(item), target=None)
            for number, item in enumerate(items)
        ]
        predictions: dict[int, Prediction] = {}
        for num_texts in {len(example.texts) for example in examples}:
            own = [example for example in examples if len(example.texts) == num_texts]
            for example, prediction in zip(own, self._predict_alike(own), strict=True):
                predictions[int(example.id)] = prediction
        return [predictions[number] for number in range(len(items))]

    def _predict_alike(self, examples: Sequence[Example]) -> list[Prediction]:
        """Return predictions for examples of as many texts."""
        features = self._features(
            examples, self.settings.sequence_length, self.settings.max_choice_length
        )
        rows = zip(
            self._outputs(features)["logits"], self._are_truncated(examples, features), strict=True
        )
        return [self._prediction(logits_C, is_truncated) for logits_C, is_truncated in rows]

    def _are_truncated(self, examples: Sequence[Example], features: Features) -> list[bool]:
        """Return of each example whether its sequences would be longer without limits."""
        is_full = features.lengths.max() == self.settings.sequence_length
        if features.group_size == 1 and not is_full:
            return [False] * len(examples)
        whole = self._features(examples, _ENDLESS, _ENDLESS)
        is_shorter = np.diff(features.begins) < np.diff(whole.begins)
        return [any(own) for own in is_shorter.reshape(-1, features.group_size)]

    def _features(self, examples: Sequence[Example], length: int, choice_length: int) -> Features:
        return make_features(
            examples, self.model.tokenizer, length, max_choice_length=choice_length
        )

    def _prediction(self, logits_C: np.ndarray, is_truncated: bool) -> Prediction:
        if self.model.kind == "regression":
            return schemas.RegressionPrediction(
                score=rounded(logits_C[0]), is_truncated=is_truncated
            )
        shares, best = [rounded(share) for share in softmax(logits_C)], int(logits_C.argmax())
        if self.model.kind == "multiple_choice":
            return schemas.ChoicePrediction(
                choice=best,
                probability=shares[best],
                probabilities=shares,
                is_truncated=is_truncated,
            )
        labels = self.model.labels
        return schemas.ClassificationPrediction(
            label=labels[best],
            probability=shares[best],
            probabilities=dict(zip(labels, shares, strict=True)),
            is_truncated=is_truncated,
        )


def _texts(item: Item) -> tuple[str, ...]:
    """Return the texts of an example in the order the model reads them."""
    if "choices" in item:
        choices = item["choices"]
        if "question" in item:
            choices = [fill_blank(item["question"], choice) for choice in choices]
        return (item["text"], *choices)
    return (item["text"], *filter(None, [item.get("text_b")]))
