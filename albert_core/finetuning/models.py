"""Architecture and Keras model of a task. Importing this does not import Keras."""

import dataclasses
from typing import TYPE_CHECKING, Any

from albert_core.config import AlbertConfig, refuse_redrawn_dropout
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig
from albert_core.tasks import Task

if TYPE_CHECKING:
    from albert_core.model.heads import AlbertWithHead


def new_task_model(
    task: Task, config: FinetuningConfig, model_config: AlbertConfig
) -> "AlbertWithHead":
    """Return a model of a task's kind with new weights, drawn from Keras's random state.

    It is built, but not compiled. Imports Keras.

    Args:
        task: The task.
        config: Its settings: what the head reads, its dropout (not for questions that all have an
            answer), and how many starts and ends are searched where there may be none.
        model_config: The architecture.

    Raises:
        InputError: A task of this kind cannot have such a head.
    """
    from albert_core import model as models

    pooling = config.pooling_of(task)
    if task.kind == "multiple_choice":
        return models.AlbertForMultipleChoice(
            model_config, classifier_dropout=config.classifier_dropout, pooling=pooling
        )
    if task.kind == "token_classification":
        return models.AlbertForTokenClassification(
            model_config,
            num_labels=task.num_outputs,
            classifier_dropout=config.classifier_dropout,
        )
    if task.kind != "question_answering":
        return models.AlbertForSequenceClassification(
            model_config,
            num_labels=task.num_outputs,
            is_multi_label=task.kind == "multi_label",
            classifier_dropout=config.classifier_dropout,
            pooling=pooling,
        )
    if not task.has_unanswerable:
        return models.AlbertForQuestionAnswering(model_config)
    return models.AlbertForQuestionAnsweringWithBeam(
        model_config,
        start_n_top=config.questions.start_n_top,
        end_n_top=config.questions.end_n_top,
        classifier_dropout=config.classifier_dropout,
    )


def tuned_architecture(pretrained: AlbertConfig, config: FinetuningConfig) -> AlbertConfig:
    """Return the architecture, with the dropout of fine-tuning where its settings give one.

    Raises:
        InputError: `sequence_length` is more than the model reads, or the model is to be
            rematerialised and has dropout.
    """
    if config.sequence_length > pretrained.max_position_embeddings:
        raise InputError(
            f"finetuning.sequence_length: got {config.sequence_length}, expected at most the "
            f"model's max_position_embeddings={pretrained.max_position_embeddings}"
        )
    dropout: dict[str, Any] = {
        "hidden_dropout_prob": config.hidden_dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
    }
    changes = {name: rate for name, rate in dropout.items() if rate is not None}
    model_config = dataclasses.replace(pretrained, **changes)
    refuse_redrawn_dropout(model_config, rematerialize=config.rematerialize)
    return model_config
