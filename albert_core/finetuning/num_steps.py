"""How many steps and evaluations a fine-tuning has. Does not import Keras."""

import math

from albert_core.finetuning.batches import batches_in_epoch
from albert_core.finetuning.config import FinetuningConfig
from albert_core.tasks import Task


def num_train_steps(
    config: FinetuningConfig, task: Task, *, num_examples: int, num_sequences: int
) -> int:
    """Return the number of steps: `num_train_steps`, else by `num_epochs`; at least 1.

    For a training by minutes, whose steps follow from the speed, nothing is known here:
    `train_minutes` is not read.

    An epoch is all full batches of the training set, and the product with the epochs is rounded to
    the nearest. With the original's recipe it is all examples over the batch size, and the product
    is rounded down; for question answering, questions are counted, not their windows.

    Args:
        config: The settings of one training.
        task: The task.
        num_examples: Examples, or questions, of the training set.
        num_sequences: What a batch is made of: examples, or windows over the questions' contexts.
    """
    if config.num_train_steps:
        return config.num_train_steps
    if has_original_recipe(config, task):
        # In the original's order of operations; in another, rounding may give a step more or less.
        return max(1, int(num_examples / config.batch_size * config.num_epochs))
    steps_per_epoch = batches_in_epoch(num_sequences, config.batch_size)
    return max(1, round(config.num_epochs * steps_per_epoch))


def num_evaluations(config: FinetuningConfig, num_steps: int) -> int:
    """Return how often a training of `num_steps` steps is evaluated on the dev set.

    With `evaluation_interval_steps` that is once before the first step, once after each interval,
    and at the end. Else it is `num_evaluations`, and at most as often as there are steps.
    """
    if config.evaluation_interval_steps:
        return 1 + math.ceil(num_steps / config.evaluation_interval_steps)
    return min(config.num_evaluations, num_steps)


def has_original_recipe(config: FinetuningConfig, task: Task) -> bool:
    """Return whether the original's recipe is asked for and the original has one for the task."""
    return config.recipe == "original" and bool(task.recipe.settings())
