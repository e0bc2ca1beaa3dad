"""What the subcommands of `albert` do; their signatures are the command line."""

from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints.kinds import CheckpointFormat
from albert_core.config import ModelConfig
from albert_core.corpus import CorpusConfig
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.errors import InputError
from albert_core.exports.formats import ExportFormat
from albert_core.finetuning.config import FinetuningConfig, Initialization
from albert_core.pretraining.config import PretrainingConfig
from albert_core.progress import to_stderr
from albert_core.records.config import RecordsConfig
from albert_core.storage import is_remote, join, local_folder, write_bytes
from albert_core.tasks import data_folder, find_task
from albert_core.tokenization.config import VocabConfig
from components.export.card.config import CardConfig
from components.records.runners import BeamConfig
from components.resolve.dates import NO_DATE, has_date, parse_date, today, with_date
from pipeline.config import RunConfig, Runner
from pipeline.remote.resources import TargetName, read_resources
from pipeline.serving.config import ServingConfig


def demo_data(output: str) -> None:
    """Make the demo's corpus and tasks from the documentation of installed packages.

    Args:
        output: Folder to make.
    """
    from components.demo_data.step import make_demo_data

    _print_manifest(make_demo_data(output=output, progress=to_stderr("demo-data")), output)


def vocab(corpus: CorpusConfig, vocab: VocabConfig, output: str) -> None:
    """Train the vocabulary of a corpus.

    Args:
        corpus: The text.
        vocab: The vocabulary.
        output: Folder to make.
    """
    from components.vocab.step import train_vocab

    manifest = train_vocab(corpus=corpus, config=vocab, output=output, progress=to_stderr("vocab"))
    _print_manifest(manifest, output)


def records(
    corpus: CorpusConfig,
    cleaning: CleaningConfig,
    records: RecordsConfig,
    beam: BeamConfig,
    vocab_dir: str,
    output: str,
) -> None:
    """Turn a corpus into pretraining records.

    Args:
        corpus: The text.
        cleaning: Which documents are left out.
        records: The records.
        beam: Where the work is done.
        vocab_dir: Output of `albert vocab`, or another vocabulary: a SentencePiece model, a
            vocab.txt or a folder that holds one.
        output: Folder to make.
    """
    from components.records.step import make_records

    manifest = make_records(
        corpus=corpus,
        vocab=vocab_dir,
        config=records,
        cleaning=cleaning,
        beam=beam,
        output=output,
        progress=to_stderr("records"),
    )
    _print_manifest(manifest, output)


def pretrain(
    model: ModelConfig,
    pretraining: PretrainingConfig,
    vocab_dir: str,
    records_dir: tuple[str, ...],
    output: str,
    work_root: str = "",
) -> None:
    """Pretrain a model on records.

    Args:
        model: The architecture.
        pretraining: How to pretrain.
        vocab_dir: The vocabulary the records were made with.
        records_dir: Output of `albert records`, or TFRecord files of the original; for phases of
            several sequence lengths one of each.
        output: Folder to make.
        work_root: Folder of work in progress; beside the output when not given.
    """
    from components.pretrain.step import pretrain as step

    manifest = step(
        records=records_dir,
        vocab=vocab_dir,
        model=model,
        config=pretraining,
        output=output,
        work_root=work_root or None,
        progress=to_stderr("pretrain"),
    )
    _print_manifest(manifest, output)


def finetune(
    finetuning: FinetuningConfig,
    task: str,
    data_dir: str,
    pretrained_dir: str,
    output: str,
    initialization: Initialization = "pretrained",
) -> None:
    """Fine-tune a pretrained model on a task.

    Args:
        finetuning: How to fine-tune.
        task: A known task, such as cola, squad2 or race; a folder of `data_dir` with a task.yaml;
            or the path of such a file.
        data_dir: Folder of the tasks' folders, as they are published.
        pretrained_dir: A checkpoint of any kind that `albert convert` knows.
        output: Folder to make.
        initialization: Start from the `pretrained` weights or, as a baseline, from `random` ones.
    """
    from components.finetune.step import finetune as step

    declared, data = find_task(task, local_folder(data_dir))
    manifest = step(
        task=declared,
        data=data,
        pretrained=pretrained_dir,
        initialization=initialization,
        config=finetuning.for_task(declared),
        output=output,
        progress=to_stderr(f"finetune {declared.name}"),
    )
    _print_manifest(manifest, output)


def evaluate(data_dir: str, finetuned_dirs: tuple[str, ...], output: str) -> None:
    """Score fine-tuned models on their tasks' dev sets and write predictions.

    Args:
        data_dir: Folder of the tasks' folders, as they are published.
        finetuned_dirs: Outputs of `albert finetune`.
        output: Folder to make; of several models one below it for each.
    """
    from components.evaluate.step import evaluate as step
    from components.evaluate.step import task_of
    from pipeline.cli.display import print_scores

    figures = {}
    for folder in finetuned_dirs:
        task, model_name = task_of(input_folder(folder)), Path(folder).name
        manifest = step(
            model=folder,
            data=data_folder(task, local_folder(data_dir)),
            output=output if len(finetuned_dirs) == 1 else join(output, model_name),
            progress=to_stderr(f"evaluate {task.name}"),
        )
        figures[f"{task.name} ({model_name})"] = manifest.metrics
    print_scores(figures)


def report(
    vocab_dir: str,
    records_dir: tuple[str, ...],
    pretrained_dir: str,
    finetuned_dirs: tuple[str, ...],
    evaluation_dirs: tuple[str, ...],
    output: str,
    title: str = "albert",
    exported_dir: str = "",
    promotion_dir: str = "",
) -> None:
    """Write the page of a run from the outputs of its steps.

    Args:
        vocab_dir: Output of `albert vocab`.
        records_dir: Output of `albert records`, one for each sequence length.
        pretrained_dir: Output of `albert pretrain`.
        finetuned_dirs: Outputs of `albert finetune`.
        evaluation_dirs: Outputs of `albert evaluate`, in the same order.
        output: Folder to make.
        title: Name of the run.
        exported_dir: Output of the run's step `export`, if it had one.
        promotion_dir: Output of the run's step `promote`, if it had one.
    """
    from components.report.step import PAGE_NAME, write_report

    write_report(
        title=title,
        vocab=vocab_dir,
        records=records_dir,
        pretrained=pretrained_dir,
        finetuned=finetuned_dirs,
        evaluations=evaluation_dirs,
        exported=exported_dir or None,
        promotion=promotion_dir or None,
        output=output,
        progress=to_stderr("report"),
    )
    print(join(output, PAGE_NAME))


def export(
    model: str,
    *,
    to: tuple[ExportFormat, ...],
    output: str,
    data_dir: str | None = None,
    sentences: str | None = None,
    max_score_loss: float | None = None,
    run: str | None = None,
    card: CardConfig,
) -> None:
    """Publish a model in formats that others run or read, each with a proof that it is the same.

    Args:
        model: A pretrained or fine-tuned model: any kind of checkpoint that `albert convert` knows.
        to: The formats, separated by commas.
        output: Folder to make, with a folder below it for each format.
        data_dir: Folder of the tasks' folders, to score a fine-tuned model before and after.
        sentences: File of sentences to compare outputs on, one a line; 200 English ones if not
            given.
        max_score_loss: What a score may lose by rounded weights, from 0 to 1; 0.02 (2 points) if
            not given.
        run: Folder below which the outputs of the steps are that led to the model, for its card.
        card: What only people know, for its card.
    """
    from components.export.step import export_model, read_parity
    from pipeline.cli.display import print_parities

    manifest = export_model(
        model=model,
        formats=to,
        output=output,
        max_score_loss=max_score_loss,
        data_dir=data_dir,
        sentences=sentences,
        run=run,
        card=card,
        progress=to_stderr("export"),
    )
    print_parities([read_parity(join(output, name)) for name in to])
    _print_manifest(manifest, output)


def card(model: str, *, output: str, run: str = "", card: CardConfig) -> None:
    """Write the card of a model and its text from what the steps noted; nothing is invented.

    Args:
        model: Output of `albert pretrain` or `albert finetune`; or any kind of checkpoint, of which
            less is known.
        output: Markdown file to write, README.md for the Hugging Face hub.
        run: Folder on this machine below which the other steps' outputs are, such as the run's;
            they are found by their hashes.
        card: What only people know.
    """
    from components.export.card.render import make_card
    from components.export.lineage import find_lineage

    lineage = find_lineage(model, run or None)
    write_bytes(output, make_card(model, lineage=lineage, card=card).encode())
    steps = ", ".join(manifest.step for manifest in lineage.manifests)
    print(f"{output}: from {steps or 'the checkpoint alone'}")


def convert(
    source: str,
    destination: str,
    *,
    to: CheckpointFormat,
    vocab: str | None = None,
    config: str | None = None,
    lower_case: bool | None = None,
) -> None:
    """Write a checkpoint as another kind, and prove that it is the same model.

    Args:
        source: A model's folder (ours or of Hugging Face), or a TensorFlow 1 checkpoint of the
            original: its folder, or folder/model.ckpt-best.
        destination: Folder to make.
        to: For whom: the original's scripts, transformers, or this program.
        vocab: Vocabulary, if not the one beside the source.
        config: The model's albert_config.json, if a TensorFlow 1 checkpoint has none beside it.
        lower_case: Whether the vocabulary is for lower-cased text, if nothing beside it says so.
    """
    from albert_core.checkpoints import convert as convert_checkpoint
    from pipeline.cli.checkpoint_display import print_conversion

    print_conversion(
        convert_checkpoint(
            source, destination, to=to, vocab=vocab, config=config, lower_case=lower_case
        )
    )


def serve(model: str, **settings: Any) -> None:
    """Answer requests over HTTP with a model, until Ctrl-C.

    Args:
        model: An export of `albert export`, or any checkpoint that `albert convert` knows.
        **settings: Where to listen, how requests are run together, and what they may ask for.
    """
    config = ServingConfig(**settings)
    try:
        from pipeline.serving.server import run_server
    except ModuleNotFoundError as error:
        raise InputError(
            f"serve: needs the package {error.name}, which is not here; install the extra `serve`"
        ) from error
    run_server(model, config)


def info(path: str) -> None:
    """Tell what a checkpoint or a folder of the pipeline is, and what it holds.

    Args:
        path: A folder, or the path of a TensorFlow 1 checkpoint such as folder/model.ckpt-best.
    """
    from albert_core.checkpoints import describe
    from pipeline.cli.checkpoint_display import print_description

    print_description(describe(path))


def estimate(
    model: ModelConfig,
    vocab: VocabConfig,
    records: RecordsConfig,
    pretraining: PretrainingConfig,
    accelerator: str,
    utilisation: float = 0.4,
    prices: str = "",
) -> None:
    """Tell what a pretraining would need on a slice of TPUs, without having one.

    Args:
        model: The architecture.
        vocab: The vocabulary; its size counts.
        records: The records; their sequence length counts.
        pretraining: How to pretrain.
        accelerator: The slice: v5e-256, v6e-8 (chips) or v5p-8 (cores), for example.
        utilisation: Share of the chips' peak that training is taken to reach.
        prices: YAML file with date, source, currency and per_chip_hour; list prices without it.
    """
    from pipeline.cli.estimate_display import print_estimate
    from pipeline.cli.estimation import estimate_run

    estimates, table = estimate_run(
        model=model,
        vocab=vocab,
        records=records,
        pretraining=pretraining,
        accelerator=accelerator,
        utilisation=utilisation,
        prices=prices,
    )
    print_estimate(estimates, table)


def run(
    output: str,
    date: str = "",
    reconfigure: bool = False,
    runner: Runner = "process",
    **settings: Any,
) -> None:
    """Run the whole pipeline on this machine; what is done already is not done again.

    Args:
        output: The run's folder; may hold {{ds}}.
        date: Date that takes the place of {{ds}} in output, corpus.files and title, YYYY-MM-DD; a
            run with retraining goes on from the model accepted last before it. Today, in UTC, if
            a run needs one.
        reconfigure: Let the folder take over changed settings; the steps they touch run again.
        runner: What a step is: a `process` in this environment, or a `docker` container without
            network, of the images of `make images`.
        **settings: The sections of the run's configuration.
    """
    from pipeline.cli.display import print_result
    from pipeline.local.run import run_locally

    if is_remote(output):
        raise InputError(
            f"output {output}: got an address in the cloud, expected a local folder for a whole "
            "run, which locks and renames; single steps write there"
        )
    config = RunConfig(**settings)
    day = parse_date(date or today())
    is_needed = config.is_dated or (date and not has_date(output))
    result = run_locally(
        config,
        Path(with_date(output, day)),
        date=day if is_needed else NO_DATE,
        reconfigure=reconfigure,
        runner=runner,
    )
    print_result(result.summary, result.steps_run, result.page)


def compile_for(
    output: str,
    target: TargetName,
    work_root: str,
    resources: str = "",
    caching: bool = False,
    **settings: Any,
) -> None:
    """Compile the pipeline of a configuration for Kubeflow or Vertex AI; nothing is submitted.

    The configuration's values are the defaults of the pipeline's parameters. ALBERT_REGISTRY is
    the registry that holds the images.

    Args:
        output: YAML file to write.
        target: `kubeflow` or `vertex`.
        work_root: gs:// folder of work in progress, by which later runs go on with this one's.
        resources: YAML file with what steps get, where it is not the default: machines,
            accelerators, retries, timeouts.
        caching: Let the target skip steps it has seen with these inputs, as they are now; for a
            pipeline that runs once, now.
        **settings: The sections of the run's configuration.
    """
    from pipeline.remote.compilation import compile_pipeline

    compiled = compile_pipeline(
        RunConfig(**settings),
        resources=read_resources(target, resources),
        work_root=work_root,
        caching=caching,
        progress=to_stderr("compile"),
    )
    write_bytes(output, compiled.text.encode())
    print(f"{output}: for {target}, {compiled.num_parameter_bytes:,} bytes of parameters")


def _print_manifest(manifest: Manifest, output: str) -> None:
    print(f"{output}: {_figures_text(manifest.metrics)} ({manifest.seconds:.1f} s)")


def _figures_text(figures: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items())
