"""The ALBERT encoder and its heads in Keras 3; variables carry the original's names."""

from albert_core.model.classification import (
    AlbertForMultipleChoice,
    AlbertForSequenceClassification,
)
from albert_core.model.encoder import AlbertEncoder
from albert_core.model.pretraining import AlbertForPreTraining, pretraining_losses
from albert_core.model.question_answering import (
    AlbertForQuestionAnswering,
    AlbertForQuestionAnsweringWithBeam,
)
from albert_core.model.replaced_token_detection import AlbertForReplacedTokenDetection
from albert_core.model.token_classification import AlbertForTokenClassification
from albert_core.model.weights import load_weights, read_weights, weights_by_name, write_weights

__all__ = [
    "AlbertEncoder",
    "AlbertForMultipleChoice",
    "AlbertForPreTraining",
    "AlbertForQuestionAnswering",
    "AlbertForQuestionAnsweringWithBeam",
    "AlbertForReplacedTokenDetection",
    "AlbertForSequenceClassification",
    "AlbertForTokenClassification",
    "load_weights",
    "pretraining_losses",
    "read_weights",
    "weights_by_name",
    "write_weights",
]
