"""The command `albert probe`: what a model knows of a task before it is fine-tuned."""

import dataclasses
import json

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.output_file import refuse_foreign_file
from albert_core.files.checksums import DamageError, parse_object
from albert_core.finetuning.probe_results import (
    DEFAULT_NUM_EXAMPLES,
    DEFAULT_SEED,
    LEAST_NUM_EXAMPLES,
)
from albert_core.places.models import find_model
from albert_core.progress import to_stderr
from albert_core.settings.checks import check_minimum, check_seed
from albert_core.storage import local_folder, write_bytes
from albert_core.tasks import find_task


def probe(
    model: str,
    *,
    task: str,
    data_dir: str,
    output: str = "",
    num_examples: int = DEFAULT_NUM_EXAMPLES,
    sequence_length: int | None = None,
    seed: int = DEFAULT_SEED,
    albert_config: str | None = None,
    vocab: str | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
) -> None:
    """Score a task by ridge regressions on the outputs of a model, which is not trained.

    Prints a table of the scores of every layer, beside those of random weights.

    Args:
        model: A checkpoint of any kind that `albert convert` knows, a run's folder (its pretrained
            model) or a place in it.
        task: A known task, a folder of `data_dir` with a task.yaml, or the path of such a file; one
            of classes, labels, scores or choices.
        data_dir: Folder of the tasks' folders, as they are published.
        output: JSON file to write with the same; takes the place of an earlier probe, but of no
            other file.
        num_examples: Most training examples to learn from, and most dev examples to score.
        sequence_length: Longest text in tokens; 128 if not given, or what the model reads or was
            trained on where that is less.
        seed: Seed of the random weights, and of the choice of examples that are held out.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary, if not the one beside the checkpoint.
        lower_case: Whether that vocabulary is for lower-cased text, if not as the files say.
        strip_accents: Whether it is for text without accents, if not as the files say.
    """
    from albert_core.checkpoints import read_checkpoint
    from albert_core.checkpoints.trained_length import find_trained_length
    from albert_core.finetuning.checkpoint_probe import probe_checkpoint
    from pipeline.cli.tables import print_probe

    check_minimum("num_examples", num_examples, LEAST_NUM_EXAMPLES)
    check_seed("seed", seed)
    if output:
        refuse_foreign_file(output, _is_probe, what="a frozen probe")
    declared, data = find_task(task, local_folder(data_dir))
    path = input_folder(find_model(model, prefer="pretrained"))
    checkpoint = read_checkpoint(
        path,
        config=albert_config,
        vocab=vocab,
        lower_case=lower_case,
        strip_accents=strip_accents,
    )
    result = probe_checkpoint(
        checkpoint,
        task=declared,
        data=data,
        num_examples=num_examples,
        sequence_length=sequence_length,
        trained_length=find_trained_length(path),
        seed=seed,
        progress=to_stderr(f"probe {declared.name}"),
    )
    print_probe(result)
    if output:
        text = json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False) + "\n"
        write_bytes(output, text.encode())


def _is_probe(content: bytes) -> bool:
    """Return whether a file's content is that of a frozen probe: JSON with `best_layer_gain`."""
    try:
        return "best_layer_gain" in parse_object(content)
    except DamageError:
        return False
