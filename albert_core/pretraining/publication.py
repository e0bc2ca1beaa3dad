"""The model folder of a finished pretraining, and of replaced-token detection its generator's."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from albert_core.checkpoints.names import DETECTION_SCOPE, GENERATOR_SCOPE
from albert_core.config import CONFIG_NAME, WEIGHTS_NAME, AlbertConfig
from albert_core.model.pretraining import PretrainingModel
from albert_core.model.replaced_token_detection import AlbertForReplacedTokenDetection
from albert_core.model.weights import read_weights, weights_by_name, write_weights
from albert_core.pretraining.held_out import DETECTION_PREFIX, EVALUATION_METRICS
from albert_core.pretraining.objectives import GENERATOR_FOLDER
from albert_core.tokenization import Tokenizer
from albert_core.training.best_weights import copy_best
from albert_core.training.history import write_history
from albert_core.training.log import LOG_NAME, TENSORBOARD_NAME
from albert_core.training.state import TrainingState

_EMBEDDINGS = "bert/embeddings/"


def write_results(
    results: Path,
    model: PretrainingModel,
    architecture: AlbertConfig,
    tokenizer: Tokenizer,
    state: TrainingState,
    best: Mapping[str, float],
    checkpoints: Path,
) -> None:
    """Write a model folder: configuration, vocabulary, best weights, history, metrics and logs.

    For replaced-token detection, the discriminator without the head that detects is written as the
    model, and the generator as a model in the folder `GENERATOR_FOLDER`.

    Args:
        results: The folder; it exists, and has no TensorBoard files yet.
        model: Tells whether there is a generator, and its architecture; no weight is read.
        architecture: Architecture of the best weights, which may have fewer layers than the model.
        tokenizer: The vocabulary.
        state: The final one.
        best: The row of the best weights, whose metrics go to eval_results.txt.
        checkpoints: Folder that holds best weights, log and TensorBoard files.

    Raises:
        StepFailedError: The best weights were damaged since they were written.
        OSError: Best weights or log are missing, or the generator's folder exists.
    """
    architecture.to_json_file(results / CONFIG_NAME)
    tokenizer.save(results)
    copy_best(checkpoints, state.best, results / WEIGHTS_NAME)
    if isinstance(model, AlbertForReplacedTokenDetection):
        depth = architecture.num_hidden_layers
        _divide_weights(results, model.generator_config.with_depth(depth), tokenizer)
    write_history(results, state.history)
    names = [name for name in best if name.startswith(f"{DETECTION_PREFIX}_")]
    # Sorted by name, as the original writes it.
    text = "".join(
        f"{name} = {best[name]}\n" for name in sorted((*EVALUATION_METRICS, "global_step", *names))
    )
    (results / "eval_results.txt").write_text(text, encoding="utf-8")
    shutil.copy(checkpoints / LOG_NAME, results / LOG_NAME)
    if (checkpoints / TENSORBOARD_NAME).is_dir():
        shutil.copytree(checkpoints / TENSORBOARD_NAME, results / TENSORBOARD_NAME)


def _divide_weights(results: Path, generator_config: AlbertConfig, tokenizer: Tokenizer) -> None:
    """Divide the file of all weights into those of the model and those of its generator.

    First the model's weights replace the file, without the generator and the head that detects,
    which is dropped. Then the generator's folder is made, with configuration, vocabulary and
    weights, whose names lose the prefix `generator/`. The embeddings are in both files.

    Args:
        results: Folder of the model, with the file of all weights.
        generator_config: Architecture of the generator.
        tokenizer: The vocabulary of both.

    Raises:
        FileExistsError: The generator's folder exists; the model's weights are replaced by then.
    """
    weights = read_weights(results / WEIGHTS_NAME)
    write_weights(results / WEIGHTS_NAME, discriminator_weights(weights))
    folder = results / GENERATOR_FOLDER
    folder.mkdir()
    generator_config.to_json_file(folder / CONFIG_NAME)
    tokenizer.save(folder)
    write_weights(folder / WEIGHTS_NAME, generator_weights(weights))


def discriminator_weights(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights of the model itself: encoder and sentence order, by the same names."""
    others = (GENERATOR_SCOPE, DETECTION_SCOPE)
    return {name: array for name, array in weights.items() if not name.startswith(others)}


def generator_weights(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights of the generator, by the original's names, with the shared embeddings."""
    scope = GENERATOR_SCOPE
    shared = {name: array for name, array in weights.items() if name.startswith(_EMBEDDINGS)}
    unshared = {n.removeprefix(scope): array for n, array in weights.items() if n.startswith(scope)}
    return {**shared, **unshared}


def count_parameters(model: PretrainingModel) -> dict[str, int]:
    """Return the numbers of parameters of the published model and of the generator, by name.

    They are `num_parameters` and, only for replaced-token detection, `num_generator_parameters`.
    The shared embeddings count in both; the head that detects counts in neither.
    """
    weights = weights_by_name(model)
    counts = {"num_parameters": _count(discriminator_weights(weights))}
    if isinstance(model, AlbertForReplacedTokenDetection):
        counts["num_generator_parameters"] = _count(generator_weights(weights))
    return counts


def _count(weights: Mapping[str, Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights.values())
