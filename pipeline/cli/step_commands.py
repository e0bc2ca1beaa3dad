"""The commands of the pipeline's single steps; their signatures are the command line."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import Manifest
from albert_core.corpus import CorpusConfig
from albert_core.corpus.cleaning import CleaningConfig
from albert_core.errors import InputError
from albert_core.finetuning.config import FinetuningConfig, Initialization
from albert_core.finetuning.unused_dropout import refuse_unused_dropout
from albert_core.places.models import find_model, find_models
from albert_core.presets import ModelConfig
from albert_core.pretraining.config import PretrainingConfig
from albert_core.progress import to_stderr
from albert_core.records.config import RecordsConfig
from albert_core.settings.checks import check_one_place
from albert_core.storage import join, local_folder
from albert_core.tasks import data_folder, find_task
from albert_core.tokenization.config import VocabConfig
from albert_core.tracking.config import TrackingConfig
from albert_core.training.devices import StrategyName
from components.number_formats import format_metric
from components.records.runners import BeamConfig


def demo_data(*, output: str) -> None:
    """Make the demo's corpus and tasks from the documentation of installed packages.

    If the folder already holds them, made by the same code from the same versions of the packages,
    they are kept; if they were made by other code, they are made again.

    Args:
        output: Folder to make; refused if it holds something else, such as the demo's data from
            other versions of the packages.
    """
    from components.demo_data.step import make_demo_data

    print_manifest(make_demo_data(output=output, progress=to_stderr("demo-data")), output)


def vocab(*, corpus: CorpusConfig, vocab: VocabConfig, output: str) -> None:
    """Train the vocabulary of a corpus.

    Args:
        corpus: The text.
        vocab: The vocabulary.
        output: Folder to make, local, gs:// or s3://. Results of the same work that are there are
            kept, or made again if other code made them; anything else that is there is refused.
    """
    from components.vocab.step import train_vocab

    manifest = train_vocab(corpus=corpus, config=vocab, output=output, progress=to_stderr("vocab"))
    print_manifest(manifest, output)


def records(
    *,
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
        output: Folder to make, local, gs:// or s3://. Results of the same work that are there are
            kept, or made again if other code made them; anything else that is there is refused.
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
    print_manifest(manifest, output)


def pretrain(
    *,
    model: ModelConfig,
    pretraining: PretrainingConfig,
    tracking: TrackingConfig,
    vocab_dir: str,
    records_dir: tuple[str, ...],
    output: str,
    work_root: str = "",
    yes: bool = False,
) -> None:
    """Pretrain a model on records.

    Args:
        model: The architecture.
        pretraining: How to pretrain.
        tracking: Where the training is tracked.
        vocab_dir: Vocabulary that the records were made with.
        records_dir: Output of `albert records`, or TFRecord files of the original; if the phases
            have several sequence lengths, one such folder or file for each length.
        output: Folder to make, local, gs:// or s3://. Results of the same work that are there are
            kept, or made again if other code made them; anything else that is there is refused.
        work_root: Folder for work in progress, from which a stopped training continues; beside the
            output when not given.
        yes: Start even if training is estimated to take more than a day on this machine; without it
            such a training is refused.
    """
    from components.pretrain.step import pretrain as step

    tracking.check_here(output=output)
    manifest = step(
        records=records_dir,
        vocab=vocab_dir,
        model=model,
        config=pretraining,
        output=output,
        work_root=work_root or None,
        tracking=tracking,
        is_confirmed=yes,
        progress=to_stderr("pretrain"),
    )
    print_manifest(manifest, output)


def finetune(
    *,
    finetuning: FinetuningConfig,
    tracking: TrackingConfig,
    task: str,
    data_dir: str,
    pretrained_dir: str,
    output: str,
    initialization: Initialization = "pretrained",
    albert_config: str | None = None,
    vocab: str | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
) -> None:
    """Fine-tune a pretrained model on a task.

    Args:
        finetuning: How to fine-tune.
        tracking: Where the training is tracked.
        task: A known task, such as cola, squad2 or race; a folder of `data_dir` with a task.yaml;
            or the path of such a file.
        data_dir: Folder of the tasks' folders, as they are published.
        pretrained_dir: A checkpoint of any kind that `albert convert` knows, or a run's folder.
        output: Folder to make, local, gs:// or s3://. Results of the same work that are there are
            kept, or made again if other code made them; anything else that is there is refused.
        initialization: Start from the `pretrained` weights or, as a baseline, from `random` ones.
        albert_config: The albert_config.json of a TensorFlow 1 checkpoint without one beside it.
        vocab: Vocabulary, if not the one beside the checkpoint.
        lower_case: Whether that vocabulary is for lower-cased text, if not as the files say.
        strip_accents: Whether that vocabulary is for text without accents, if not as the files say.
    """
    from components.finetune.step import finetune as step

    tracking.check_here(output=output)
    declared, data = find_task(task, local_folder(data_dir))
    refuse_unused_dropout(finetuning, [declared])
    manifest = step(
        task=declared,
        data=data,
        pretrained=find_model(pretrained_dir, prefer="pretrained"),
        initialization=initialization,
        config=finetuning.for_task(declared),
        output=output,
        albert_config=albert_config,
        vocab=vocab,
        lower_case=lower_case,
        strip_accents=strip_accents,
        tracking=tracking,
        progress=to_stderr(f"finetune {declared.name}"),
    )
    print_manifest(manifest, output)


def evaluate(
    *,
    tracking: TrackingConfig,
    data_dir: str,
    finetuned_dirs: tuple[str, ...],
    output: str,
    task: str = "",
    albert_config: str | None = None,
    vocab: str | None = None,
    lower_case: bool | None = None,
    strip_accents: bool | None = None,
    strategy: StrategyName = "auto",
    model_parallel_size: int = 1,
) -> None:
    """Score fine-tuned models on their tasks' dev sets and write predictions.

    Args:
        tracking: Where the scores are tracked.
        data_dir: Folder of the tasks' folders, as they are published.
        finetuned_dirs: Fine-tuned models: outputs of `albert finetune`, checkpoints of the
            original's scripts or of Hugging Face; a run's folder is all its fine-tuned models.
        output: Folder to make, local, gs:// or s3://; with several models it has a folder for each.
            Results of the same work that are there are kept, or made again if other code made them;
            anything else that is there is refused.
        task: Task to evaluate on, if the models' folders declare none or another one: named as for
            `albert finetune`.
        albert_config: The albert_config.json of TensorFlow 1 checkpoints without one beside them.
        vocab: Vocabulary, if not the one beside the checkpoints.
        lower_case: Whether that vocabulary is for lower-cased text, if not as the files say.
        strip_accents: Whether that vocabulary is for text without accents, if not as the files say.
        strategy: How devices share the work, as in fine-tuning; auto takes all there are.
        model_parallel_size: Devices that hold one copy of the weights together.
    """
    from albert_core.inference.task_settings import read_declared_task
    from components.evaluate.classification import read_classification
    from components.evaluate.step import evaluate as step
    from pipeline.cli.tables import print_classes, print_scores

    tracking.check_here(output=output)
    tasks_folder = local_folder(data_dir)
    metrics, classes = {}, {}
    models = _finetuned_models(finetuned_dirs)
    for name, folder in models.items():
        if task:
            declared, data = find_task(task, tasks_folder)
        else:
            declared = read_declared_task(input_folder(folder))
            data = data_folder(declared, tasks_folder)
        place = output if len(models) == 1 else join(output, name)
        manifest = step(
            model=folder,
            data=data,
            output=place,
            task=declared if task else None,
            albert_config=albert_config,
            vocab=vocab,
            lower_case=lower_case,
            strip_accents=strip_accents,
            strategy=strategy,
            model_parallel_size=model_parallel_size,
            tracking=tracking,
            progress=to_stderr(f"evaluate {declared.name}"),
        )
        title = f"{declared.name} ({name})"
        metrics[title] = manifest.metrics
        classes[title] = (read_classification(place) or {}).get("classes", [])
    print_scores(metrics)
    print_classes(classes)


def _finetuned_models(paths: Sequence[str]) -> dict[str, str]:
    """Return the folders of fine-tuned models by the names that the folders of their scores get.

    Args:
        paths: Models, or folders of runs, of which all fine-tuned models are meant.

    Raises:
        InputError: Two have one name.
    """
    models = {
        path: folder
        for given in paths
        for path, folder in (find_models(given) or {given: given}).items()
    }
    # Links are not followed: the places of a run, named after tasks, are links.
    named = [(Path(os.path.abspath(path)).name, path) for path in models]
    check_one_place(
        "finetuned_dirs",
        named,
        shared="named",
        expected="as the folders of their scores would be; expected different names, or one "
        "command for each",
    )
    return {name: models[path] for name, path in named}


def report(
    runs: tuple[str, ...] = (),
    *,
    pretrained_dir: str = "",
    finetuned_dirs: tuple[str, ...] = (),
    evaluation_dirs: tuple[str, ...] = (),
    output: str,
    vocab_dir: str = "",
    records_dir: tuple[str, ...] = (),
    title: str = "",
    exported_dir: str = "",
    promotion_dir: str = "",
) -> None:
    """Write the page of a run, from its folder or the outputs of its steps; or compare runs.

    Args:
        runs: Folders of finished runs on this machine: the report of a single run is made anew; two
            to eight runs are compared with the first. If no run is named, give the outputs of the
            steps by the options.
        pretrained_dir: Output of `albert pretrain`, or of the step `checkpoint` of a run from one.
        finetuned_dirs: Outputs of `albert finetune`.
        evaluation_dirs: Outputs of `albert evaluate`, in the same order.
        output: Folder to make, local, gs:// or s3://. Results of the same work that are there are
            kept, or made again if other code made them; anything else that is there is refused.
        vocab_dir: Output of `albert vocab`; needed with an output of `albert pretrain`.
        records_dir: Output of `albert records`, one for each sequence length, likewise.
        title: Name of the run; albert if not given. Runs have their own.
        exported_dir: Output of the run's step `export`, if it had one.
        promotion_dir: Output of the run's step `promote`, if it had one.
    """
    from components.report.step import PAGE_NAME, write_report

    folders = {
        "pretrained_dir": pretrained_dir,
        "finetuned_dirs": finetuned_dirs,
        "evaluation_dirs": evaluation_dirs,
    }
    if runs:
        others = {
            "vocab_dir": vocab_dir,
            "records_dir": records_dir,
            "title": title,
            "exported_dir": exported_dir,
            "promotion_dir": promotion_dir,
        }
        _report_on_runs(runs, {**folders, **others}, output)
    elif missing := [f"--{name}" for name, value in folders.items() if not value]:
        raise InputError(
            f"report: got no {', '.join(missing)}; expected the outputs of all steps, or the "
            "folder of a run: albert report runs/mine --output report"
        )
    else:
        write_report(
            title=title or "albert",
            vocab=vocab_dir or None,
            records=records_dir,
            pretrained=pretrained_dir,
            finetuned=finetuned_dirs,
            evaluations=evaluation_dirs,
            exported=exported_dir or None,
            promotion=promotion_dir or None,
            in_run_folder=False,
            output=output,
            progress=to_stderr("report"),
        )
    print(join(output, PAGE_NAME))


def _report_on_runs(runs: Sequence[str], options: Mapping[str, Any], output: str) -> None:
    """Make the report of one run anew, or compare several.

    Args:
        runs: Their folders on this machine, one to eight.
        options: Title and outputs of steps by the names of their options, which must be empty.
        output: Folder to make.

    Raises:
        InputError: There is such an option, too, a run has no report or a damaged one, there are
            too many runs, or `output` holds something else.
        StepFailedError: Another process has taken over this work.
        ServiceError: The storage failed.
    """
    given = [f"--{name}" for name, value in options.items() if value]
    if given:
        raise InputError(
            f"report: got both runs and {', '.join(given)}; expected one of them: a run's folder "
            "holds its title and the outputs of its steps"
        )
    if len(runs) == 1:
        from components.report.run_outputs import find_report_inputs
        from components.report.step import write_report

        write_report(**find_report_inputs(runs[0]), output=output, progress=to_stderr("report"))
    else:
        from components.report.comparison import write_comparison

        write_comparison(runs, output=output)


def print_manifest(manifest: Manifest, output: str) -> None:
    """Print what a step made: the folder, its metrics and the seconds it took."""
    metrics = ", ".join(f"{name} {format_metric(v)}" for name, v in manifest.metrics.items())
    print(f"{output}: {metrics} ({manifest.seconds:.1f} s)")
