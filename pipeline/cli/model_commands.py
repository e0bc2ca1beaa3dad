"""The commands of finished models: export, card, convert, info and serve."""

from pathlib import Path
from typing import Any

from albert_core.artifacts.output_file import refuse_foreign_file
from albert_core.checkpoints.kinds import CheckpointFormat
from albert_core.errors import InputError
from albert_core.exports.formats import ExportFormat
from albert_core.places.models import find_model, find_place
from albert_core.places.outputs import is_run_folder
from albert_core.progress import to_stderr
from albert_core.storage import is_remote, join, local_folder, write_bytes
from albert_core.tasks import named_task
from albert_core.training.devices import Precision
from components.export.card.config import CardConfig
from pipeline.cli.step_commands import print_manifest
from pipeline.serving.config import ServingConfig


def export(
    model: str,
    *,
    to: tuple[ExportFormat, ...],
    output: str,
    data_dir: str | None = None,
    sentences: str | None = None,
    max_score_loss: float | None = None,
    run: str | None = None,
    task: str = "",
    albert_config: str | None = None,
    vocab: str | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    card: CardConfig,
) -> None:
    """Publish a model in formats that others run or read, each with a proof that it is the same.

    Args:
        model: A pretrained or fine-tuned model: any kind of checkpoint that `albert convert` knows,
            or a place of a run, such as runs/x/models/cola.
        to: The formats, separated by commas.
        output: Folder to make, local, gs:// or s3://, with a folder below it for each format.
            Results of the same work that are there are kept, or made again if other code made them;
            anything else that is there is refused.
        data_dir: Folder of the tasks' folders, to score a fine-tuned model before and after.
        sentences: File of sentences to compare outputs on, one a line; if not given, those of the
            corpus that lie beside the vocabulary in `run`, else 200 English ones.
        max_score_loss: What a score, with data_dir, may lose by rounded weights, from 0 to 1; 0.02
            (2 points) if not given.
        run: Folder, such as a run's, that holds the outputs of the steps that made the model, for
            its card.
        task: Task of a fine-tuned checkpoint, if its files declare none or another one: a known
            task, or the path of a task.yaml.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary, if not the one beside the checkpoint.
        lower_case: Whether that vocabulary is for lower-cased text, if not as the files say.
        strip_accents: Whether that vocabulary is for text without accents, if not as the files say.
        card: What only people know about the model, for its card.
    """
    from components.export.single_model import export_model, read_parity
    from pipeline.cli.tables import print_parities

    manifest = export_model(
        model=find_model(model),
        formats=to,
        output=output,
        max_score_loss=max_score_loss,
        data_dir=data_dir,
        sentences=sentences,
        run=run,
        task=named_task(task) if task else None,
        albert_config=albert_config,
        vocab=vocab,
        lower_case=lower_case,
        strip_accents=strip_accents,
        card=card,
        progress=to_stderr("export"),
    )
    print_parities([read_parity(join(output, name)) for name in to])
    print_manifest(manifest, output)


def card(model: str, *, output: str, run: str = "", card: CardConfig) -> None:
    """Write the card of a model and its text from what the steps noted; nothing is invented.

    Args:
        model: Output of `albert pretrain` or `albert finetune`, or a place of a run; or any kind of
            checkpoint, of which less is known.
        output: Markdown file to write, README.md for the Hugging Face hub. A card that nobody has
            changed since it was written is replaced; any other file there is refused.
        run: Folder on this machine, such as a run's, that holds the other steps' outputs; they are
            found by their hashes.
        card: What only people know.
    """
    from components.export.card.render import is_own_card, make_card
    from components.export.lineage import find_lineage

    model = find_model(model)
    refuse_foreign_file(output, is_own_card, what="a card")
    lineage = find_lineage(model, run or None)
    write_bytes(output, make_card(model, lineage=lineage, card=card).encode())
    steps = ", ".join(manifest.step for manifest in lineage.manifests)
    print(f"{output}: from {steps or 'the checkpoint alone'}")


def convert(
    source: str,
    destination: str,
    *,
    to: CheckpointFormat,
    albert_config: str | None = None,
    vocab: str | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
) -> None:
    """Write a checkpoint as another kind, and prove that it is the same model.

    Args:
        source: A model's folder (ours or of Hugging Face), a place of a run, or a TensorFlow 1
            checkpoint of the original: its folder, or folder/model.ckpt-best.
        destination: Folder to make on this machine, or an empty one. One that holds this very
            conversion is left as it is; anything else that is there is refused.
        to: Which program the result is for: the original's scripts, transformers, or this program.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary, if not the one beside the source.
        lower_case: Whether the vocabulary is for lower-cased text, if nothing beside it says so.
        strip_accents: Whether it is for text without accents, if nothing beside it says so.
    """
    from albert_core.checkpoints import convert as convert_checkpoint
    from pipeline.cli.checkpoint_display import print_conversion

    print_conversion(
        convert_checkpoint(
            find_model(source),
            destination,
            to=to,
            vocab=vocab,
            config=albert_config,
            lower_case=lower_case,
            strip_accents=strip_accents,
        )
    )


def info(path: str, *, verify: bool = False) -> None:
    """Tell what a run, a checkpoint, an export or a folder of the pipeline is, and what it holds.

    Args:
        path: A run's folder or a place in it, any other folder, or the path of a TensorFlow 1
            checkpoint such as folder/model.ckpt-best.
        verify: Whether to read all files and compare them with the manifest of the step that wrote
            them; for a run's folder, the files of all its results, those from random weights too.
            Those of a run in a bucket are fetched one at a time and not kept; its exports, whose
            manifest is not there, are named as not compared.
    """
    from albert_core.artifacts.inputs import verify_files
    from albert_core.checkpoints import describe
    from albert_core.exports.description import describe_export
    from albert_core.places.stored import verify_stored_outputs
    from albert_core.places.verification import verify_outputs
    from pipeline.cli.checkpoint_display import print_description, print_export
    from pipeline.cli.run_display import print_run
    from pipeline.local.run_state import describe_run, describe_stored_run, is_stored_run

    if not is_remote(path) and is_run_folder(Path(path)):
        for sentence in verify_outputs(Path(path)) if verify else ():
            print(sentence)
        print_run(describe_run(Path(path)))
        return
    if is_stored_run(path):
        for sentence in verify_stored_outputs(path) if verify else ():
            print(sentence)
        print_run(describe_stored_run(path))
        return
    path = find_model(find_place(path))
    if verify:
        print(verify_files(path))
    # Checkpoints first: more is known of a SavedModel as the checkpoint that it also is.
    try:
        print_description(describe(path))
    except InputError:
        export = describe_export(local_folder(path))
        if export is None:
            raise
        print_export(export)


def serve(
    model: str,
    *,
    task: str = "",
    albert_config: str | None = None,
    vocab: str | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    precision: Precision = "auto",
    **settings: Any,
) -> None:
    """Answer requests over HTTP with a model, until Ctrl-C.

    Args:
        model: An export of `albert export`, any checkpoint that `albert convert` knows, or a
            model's folder in a run, such as runs/x/models/cola.
        task: Task of a fine-tuned checkpoint, if its files declare none or another one: a known
            task, or the path of a task.yaml.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary, if not the one beside the checkpoint.
        lower_case: Whether that vocabulary is for lower-cased text, if not as the files say.
        strip_accents: Whether that vocabulary is for text without accents, if not as the files say.
        precision: Precision that a checkpoint computes in; auto takes float32 on a CPU, and the
            faster one on accelerators.
        **settings: Where to listen, how requests are run together, and what they may ask for.
    """
    from pipeline.serving.server import run_server

    config = ServingConfig(**settings)
    run_server(
        model,
        config,
        reading={
            "task": named_task(task) if task else None,
            "config": albert_config,
            "vocab": vocab,
            "lower_case": lower_case,
            "strip_accents": strip_accents,
            "precision": precision,
        },
    )
