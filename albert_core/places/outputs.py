"""The outputs of a run's steps, found among its artifacts, and the place each has in its folder."""

import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, find_manifest
from albert_core.artifacts.outputs import output_at
from albert_core.errors import InputError
from albert_core.storage import join

RUN_CONFIG_NAME = "config.yaml"
ARTIFACTS_NAME = "artifacts"

VOCAB_PLACE, RECORDS_PLACE, PRETRAINED_PLACE = "vocab", "records", "pretrained"
MODELS_PLACE, EVALUATIONS_PLACE, EXPORT_PLACE = "models", "evaluations", "export"
REPORT_PLACE = "report"
# The order of the steps.
PLACES = (
    VOCAB_PLACE,
    RECORDS_PLACE,
    PRETRAINED_PLACE,
    MODELS_PLACE,
    EVALUATIONS_PLACE,
    EXPORT_PLACE,
    REPORT_PLACE,
)

_RUN_PLACES = {
    "vocab": VOCAB_PLACE,
    "pretrain": PRETRAINED_PLACE,
    "checkpoint": PRETRAINED_PLACE,
    "report": REPORT_PLACE,
}
_TASK_PLACES = {"finetune": MODELS_PLACE, "evaluate": EVALUATIONS_PLACE}
# Baselines from random weights have no place in the folder; their scores are in scores.json.
_RANDOM = "random "


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepOutput:
    """The folder that a step of a run wrote, local, gs:// or s3://, and its manifest."""

    folder: str
    manifest: Manifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOutputs:
    """What a run's folder holds: for each step the output that counts.

    Attributes:
        vocab: Output of `vocab`.
        records: Outputs of `records` by sequence length.
        pretrained: Output of `pretrain`, or of `checkpoint` in a run that starts from one.
        models: Outputs of `finetune` from pretrained weights, by task.
        evaluations: Outputs of `evaluate` of these models, by task.
        random_models: Outputs of `finetune` from random weights, by task.
        random_evaluations: Outputs of `evaluate` of those, by task.
        exports: Folders with the formats of a task's model, by task.
        export: The newest output of `export`, which may be of some of the tasks.
        report: Output of `report`.
    """

    vocab: StepOutput | None = None
    records: Mapping[int, StepOutput] = dataclasses.field(default_factory=dict)
    pretrained: StepOutput | None = None
    models: Mapping[str, StepOutput] = dataclasses.field(default_factory=dict)
    evaluations: Mapping[str, StepOutput] = dataclasses.field(default_factory=dict)
    random_models: Mapping[str, StepOutput] = dataclasses.field(default_factory=dict)
    random_evaluations: Mapping[str, StepOutput] = dataclasses.field(default_factory=dict)
    exports: Mapping[str, str] = dataclasses.field(default_factory=dict)
    export: StepOutput | None = None
    report: StepOutput | None = None

    def places(self) -> dict[str, str]:
        """Return the folders of the outputs, by the paths that they have in the run's folder.

        The paths are `vocab`, `records`, `pretrained`, `models/TASK`, `evaluations/TASK`,
        `export/TASK` and `report`, in this order; those of one kind are sorted as texts. If there
        are records of several sequence lengths, their paths are `records/128` and so on. Outputs
        that are missing are left out, and so are all models and evaluations from random weights.
        """
        singles = {
            VOCAB_PLACE: self.vocab,
            PRETRAINED_PLACE: self.pretrained,
            REPORT_PLACE: self.report,
        }
        groups = {MODELS_PLACE: self.models, EVALUATIONS_PLACE: self.evaluations}
        places = {name: output.folder for name, output in singles.items() if output}
        for length, output in self.records.items():
            name = RECORDS_PLACE if len(self.records) == 1 else f"{RECORDS_PLACE}/{length}"
            places[name] = output.folder
        for group, outputs in groups.items():
            places |= {f"{group}/{task}": output.folder for task, output in outputs.items()}
        places |= {f"{EXPORT_PLACE}/{task}": folder for task, folder in self.exports.items()}
        return dict(sorted(places.items(), key=lambda item: _rank(item[0])))


def is_run_folder(folder: Path) -> bool:
    """Return whether a local folder is that of a run: it has its configuration and artifacts."""
    return (folder / RUN_CONFIG_NAME).is_file() and (folder / ARTIFACTS_NAME).is_dir()


def find_outputs(run: Path, *, report: Path | None = None) -> RunOutputs:
    """Find the outputs of a run's steps, of any version, by their manifests.

    In a finished run these are the outputs that its report names by their hashes, and the newest
    ones of steps that it does not name; but models and evaluations of other tasks only if their
    newest model is from the same pretraining, and no records beside named ones. In a run that is at
    work or failed, it is the newest output of each step. Only manifests are read; outputs with one
    that cannot be read are left out, and named on standard error.

    Args:
        run: The run's folder.
        report: Output of the report of a run that has just finished; where it is not among the
            outputs, the run counts as one at work. Without it, the newest report counts if the last
            run in the folder has written one.
    """
    outputs = _read_outputs(run)
    newest = {_key(output.manifest): output for output in outputs}
    last = _find_report(run, outputs, report)
    if last is None:
        return _collect(newest, outputs)
    named = set(last.manifest.inputs.values())
    chain = {
        _key(output.manifest): output for output in outputs if output.manifest.content_hash in named
    }
    chain[REPORT_PLACE] = last
    return _collect({**_still_valid(newest, chain), **chain}, outputs)


def read_outputs(addresses: Iterable[str]) -> RunOutputs:
    """Return the outputs of one run that are at the given addresses, local, gs:// or s3://.

    Only manifests are read; an address without one, or with that of a step that has no place in a
    run, is left out. If there are several outputs of the same step (and task or length), the last
    one counts. Only `exports`, the folders with the formats of a task's model, are chosen task by
    task from all exports: the last one of the very model that counts, else the last one of the
    task.

    Raises:
        InputError: A manifest cannot be read.
        ServiceError: The storage failed.
    """
    manifests = ((address, output_at(address).manifest()) for address in addresses)
    outputs = [
        StepOutput(folder=address, manifest=manifest)
        for address, manifest in manifests
        if manifest and _key(manifest)
    ]
    return _collect({_key(output.manifest): output for output in outputs}, outputs)


def _read_outputs(run: Path) -> list[StepOutput]:
    """Return all outputs below a run's artifacts that have a place, the oldest first.

    Outputs whose manifest cannot be read, is damaged or has another version are left out and named
    on standard error.
    """
    outputs = []
    for path in (run / ARTIFACTS_NAME).glob(f"*/**/{MANIFEST_NAME}"):
        try:
            manifest = find_manifest(path.parent)
        except InputError as error:
            # Not raised: a run must be able to make such an output again.
            print(f"albert: left out: {error}", file=sys.stderr)
            continue
        if manifest and _key(manifest):
            outputs.append(StepOutput(folder=str(path.parent), manifest=manifest))
    return sorted(outputs, key=lambda output: _age(run, output))


def _age(run: Path, output: StepOutput) -> tuple[str, float, str]:
    """Return the sort key of an output, smaller if older: run, time of the manifest, folder."""
    # kfp names the folder of each run by its time. Times of files alone would not do: an output
    # that is published again is made of links to the files of its first time.
    folder = Path(output.folder)
    attempt = folder.relative_to(run / ARTIFACTS_NAME).parts[0]
    return (attempt, (folder / MANIFEST_NAME).stat().st_mtime, output.folder)


def _key(manifest: Manifest) -> str:
    """Return the key of an output in its run, such as `models/cola`; empty for other steps.

    Models and evaluations have keys by task, and other keys for random weights (`random
    models/cola`); records by sequence length. Two outputs with the same key come from different
    attempts of the same step.
    """
    step, config = manifest.step, manifest.config
    if step in _TASK_PLACES and "task" in config:
        baseline = _RANDOM if config.get("initialization") == "random" else ""
        return f"{baseline}{_TASK_PLACES[step]}/{config['task']}"
    if step == "records" and "sequence_length" in config.get("records", {}):
        return f"{RECORDS_PLACE}/{config['records']['sequence_length']}"
    return EXPORT_PLACE if step == "export" else _RUN_PLACES.get(step, "")


def _find_report(
    run: Path, outputs: Sequence[StepOutput], report: Path | None
) -> StepOutput | None:
    """Return the report of the last run in a run's folder; None if that run has not finished.

    Its inputs are not looked at.

    Args:
        run: The run's folder.
        outputs: All outputs below it, the oldest first (not checked).
        report: Folder of the report to return, None if it is not among `outputs`. If not given, it
            is the last report, or None if a later run in the folder has any output.
    """
    reports = [output for output in outputs if output.manifest.step == "report"]
    if report is not None:
        return next(
            (output for output in reports if Path(output.folder).resolve() == report.resolve()),
            None,
        )
    if not reports:
        return None
    attempts = {_age(run, output)[0] for output in outputs}
    return reports[-1] if _age(run, reports[-1])[0] == max(attempts) else None


def _still_valid(
    newest: Mapping[str, StepOutput], chain: Mapping[str, StepOutput]
) -> dict[str, StepOutput]:
    """Return the newest outputs that still count beside those that a finished run has named.

    The caller puts the named ones over them. Models and evaluations count for the tasks whose
    newest model began from the same pretrained weights as a model that the run has named. Records
    count only if the run has named none; outputs of other steps always do.

    Args:
        newest: The newest output of each key.
        chain: The outputs that the finished run has named, by their keys.
    """
    origins = {
        output.manifest.inputs.get("pretrained")
        for key, output in chain.items()
        if key.startswith(f"{MODELS_PLACE}/")
    }
    tasks = {
        key.removeprefix(f"{MODELS_PLACE}/")
        for key, output in newest.items()
        if key.startswith(f"{MODELS_PLACE}/")
        and output.manifest.inputs.get("pretrained") in origins
    }
    has_records = any(key.startswith(f"{RECORDS_PLACE}/") for key in chain)
    return {
        key: output
        for key, output in newest.items()
        if (key.rpartition("/")[2] in tasks if _is_of_task(key) else True)
        and not (has_records and key.startswith(f"{RECORDS_PLACE}/"))
    }


def _is_of_task(key: str) -> bool:
    return key.removeprefix(_RANDOM).startswith((f"{MODELS_PLACE}/", f"{EVALUATIONS_PLACE}/"))


def _collect(by_key: Mapping[str, StepOutput], outputs: Iterable[StepOutput]) -> RunOutputs:
    """Return the outputs of a run from those that count, by `_key`, and all there are.

    Tasks are sorted by name, records by length. Exports are looked for among all outputs, the
    others are those that count.
    """

    def group(prefix: str) -> dict[str, StepOutput]:
        """Return the outputs whose keys begin with a prefix, by the rest of their keys, sorted."""
        return {
            key.removeprefix(prefix): output
            for key, output in sorted(by_key.items())
            if key.startswith(prefix)
        }

    models = group(f"{MODELS_PLACE}/")
    records = group(f"{RECORDS_PLACE}/")
    return RunOutputs(
        vocab=by_key.get(VOCAB_PLACE),
        records={length: records[str(length)] for length in sorted(map(int, records))},
        pretrained=by_key.get(PRETRAINED_PLACE),
        models=models,
        evaluations=group(f"{EVALUATIONS_PLACE}/"),
        random_models=group(f"{_RANDOM}{MODELS_PLACE}/"),
        random_evaluations=group(f"{_RANDOM}{EVALUATIONS_PLACE}/"),
        exports=_exports(outputs, models),
        export=by_key.get(EXPORT_PLACE),
        report=by_key.get(REPORT_PLACE),
    )


def _exports(outputs: Iterable[StepOutput], models: Mapping[str, StepOutput]) -> dict[str, str]:
    """Return the folder with the formats of each task's model, by task.

    It is in the newest export of the very model that counts. If that model was never exported, as
    when its export is still to come, it is in the newest export of the task. A task that was never
    exported is left out. All exports are looked through, since one need not hold every task.

    Args:
        outputs: All outputs of the run, the oldest first.
        models: The models that count, by task.
    """
    exports: dict[str, str] = {}
    model_exports: dict[str, str] = {}
    for output in outputs:
        if output.manifest.step != "export":
            continue
        for task, model in models.items():
            if not any(name.startswith(f"{task}/") for name in output.manifest.files):
                continue
            exports[task] = join(output.folder, task)
            if output.manifest.inputs.get(f"{task} model") == model.manifest.content_hash:
                model_exports[task] = exports[task]
    return exports | model_exports


def _rank(place: str) -> tuple[int, str]:
    return PLACES.index(place.partition("/")[0]), place
