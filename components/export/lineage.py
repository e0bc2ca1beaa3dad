"""The manifests of the steps that led to a model, found by the hashes of their outputs."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, OutputFolder, find_manifest
from albert_core.artifacts.outputs import output_at
from albert_core.checkpoints import read_checkpoint
from albert_core.errors import InputError
from albert_core.files.atomic import hash_json
from albert_core.storage import local_path
from albert_core.tokenization import load_tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lineage:
    """Manifests of the steps that led to a model; unknown ones are None or empty.

    Attributes:
        checkpoint: Manifest of the checkpoint that its run started from, in place of the next
            three.
        vocab: Manifest of its vocabulary.
        records: Manifests of its records, one for each sequence length.
        pretrained: Manifest of its pretraining.
        finetuned: Manifest of its fine-tuning.
        evaluated: Manifest of its evaluation.
        random_evaluated: Manifest of the evaluation of the same fine-tuning from random weights.
        vocab_address: Where the output of its vocabulary is; empty if unknown.
        evaluation_address: Where the output of its evaluation is; empty if unknown.

    Raises:
        InputError: Evaluation or records belong to another model.
    """

    checkpoint: Manifest | None = None
    vocab: Manifest | None = None
    records: tuple[Manifest, ...] = ()
    pretrained: Manifest | None = None
    finetuned: Manifest | None = None
    evaluated: Manifest | None = None
    random_evaluated: Manifest | None = None
    vocab_address: str = dataclasses.field(default="", compare=False)
    evaluation_address: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse an evaluation of another model, and records the pretraining has not read.

        Vocabulary, fine-tuning and the evaluation from random weights are not checked.

        Raises:
            InputError: The evaluation, or one of the records, belongs to another model.
        """
        finetuned, evaluated = self.finetuned, self.evaluated
        if finetuned and evaluated and evaluated.inputs["model"] != finetuned.content_hash:
            raise InputError("card: got the evaluation of another model than the one fine-tuned")
        if self.pretrained:
            hashes = self.pretrained.inputs.values()
            if any(manifest.content_hash not in hashes for manifest in self.records):
                raise InputError("card: got other records than the model was pretrained on")

    @property
    def manifests(self) -> list[Manifest]:
        """The known manifests, in the order of the steps, but for `random_evaluated`."""
        manifests = (
            self.checkpoint,
            self.vocab,
            *self.records,
            self.pretrained,
            self.finetuned,
            self.evaluated,
        )
        return [manifest for manifest in manifests if manifest]

    @property
    def languages(self) -> tuple[str, ...]:
        """The ISO 639 codes of the text's languages, as far as the manifests name them.

        Each once; those of the records come before that of the vocabulary.
        """
        text_manifests = [manifest for manifest in (*self.records, self.vocab) if manifest]
        codes = (manifest.config.get("language") for manifest in text_manifests)
        return tuple(dict.fromkeys(code for code in codes if code))

    @property
    def content_hash(self) -> str:
        """Hash of the content hashes of all known manifests, `random_evaluated` last."""
        manifests = [*self.manifests, *filter(None, [self.random_evaluated])]
        return hash_json([manifest.content_hash for manifest in manifests])


def lineage_at(
    *,
    finetuned: str | Path | None = None,
    evaluated: str | Path | None = None,
    random_evaluated: str | Path | None = None,
    pretrained: str | Path | None = None,
    records: Sequence[str | Path] = (),
    vocab: str | Path | None = None,
) -> Lineage:
    """Read the lineage from the outputs of the steps, local, gs:// or s3://.

    Only manifests are read. An output without one, such as a downloaded checkpoint, is unknown.
    Which step wrote an output is not checked.

    Args:
        finetuned: Output of the fine-tuning.
        evaluated: Output of its evaluation.
        random_evaluated: Output of the evaluation of the same fine-tuning from random weights.
        pretrained: Output of the pretraining or, told by its manifest, of the step `checkpoint`.
        records: Outputs of the records, one for each sequence length.
        vocab: Output of the vocabulary.

    Raises:
        InputError: A manifest cannot be read, or evaluation or records belong to another model.
        ServiceError: The storage failed.
    """

    def manifest_at(address: str | Path | None) -> Manifest | None:
        """Return the manifest of an output; None if it has none or no address is given."""
        return output_at(address).manifest() if address else None

    return Lineage(
        vocab=manifest_at(vocab),
        records=tuple(manifest for address in records if (manifest := manifest_at(address))),
        **_as_start(manifest_at(pretrained)),
        finetuned=manifest_at(finetuned),
        evaluated=manifest_at(evaluated),
        random_evaluated=manifest_at(random_evaluated),
        vocab_address=str(vocab or ""),
        evaluation_address=str(evaluated or ""),
    )


def _as_start(manifest: Manifest | None) -> dict[str, Manifest | None]:
    """Return the attribute of a `Lineage` that a manifest is: `checkpoint` or `pretrained`.

    By the step that wrote it; None becomes a `pretrained` of None.
    """
    is_checkpoint = manifest is not None and manifest.step == "checkpoint"
    return {"checkpoint" if is_checkpoint else "pretrained": manifest}


def find_lineage(model: str | Path, run: str | Path | None = None) -> Lineage:
    """Find the lineage of a model that a step wrote, among all outputs below a folder.

    A step's manifest has the hash of each input, so that only what really led to the model is
    taken, whatever else is there; if several outputs match, the first by path is taken. To find the
    pretraining of a fine-tuned model, the weights of pretrained models there are read.

    Args:
        model: Output of `albert pretrain` or `albert finetune`, local, gs:// or s3://; without
            `run` any checkpoint, of which nothing is known if it has no manifest.
        run: A run's folder on this machine, or one that holds outputs of single steps. Without it
            only the model's own manifest is used.

    Raises:
        InputError: The model is damaged, or missing in the cloud; there is no such folder; neither
            of the two steps wrote the model; or a checkpoint or vocabulary below the folder cannot
            be read.
        ServiceError: The storage failed.
    """
    manifest = find_manifest(input_folder(model))
    if run is None:
        return _trace(manifest, []) if manifest else Lineage()
    if manifest is None or manifest.step not in ("pretrain", "finetune"):
        raise InputError(
            f"{model}: not the output of `albert pretrain` or `albert finetune`, so what led to it "
            "cannot be found below --run; name that output"
        )
    return _trace(manifest, list(_outputs_below(local_path(run, "run"))))


def _trace(model: Manifest, outputs: Sequence[OutputFolder]) -> Lineage:
    """Return the lineage of a pretraining or fine-tuning, as far as it is among some outputs.

    Vocabulary and records are those that the pretraining names, in its order. The evaluation from
    random weights is only there beside the model's own.

    Args:
        model: The manifest of the model; if it is not that of a fine-tuning, it is taken for a
            pretraining.
        outputs: Folders and manifests to search. Pretrained models are read there until the one
            that a fine-tuning began with is found, and vocabularies until that of the pretraining.

    Raises:
        InputError: A model or a vocabulary that is searched cannot be read.
        ServiceError: The storage failed.
    """
    is_finetuned = model.step == "finetune"
    finetuned = model if is_finetuned else None
    start = _find_pretraining(model, outputs) if is_finetuned else model
    origin = _as_start(start)
    pretrained = origin.get("pretrained")
    evaluation = _find_evaluation(model, outputs) if is_finetuned else None
    evaluation_path, evaluated = evaluation or (None, None)
    random = _find_random_twin(model, outputs) if is_finetuned else None
    random_evaluation = _find_evaluation(random, outputs) if random and evaluated else None
    inputs = pretrained.inputs if pretrained else {}
    records = {
        manifest.content_hash: manifest
        for _, manifest in outputs
        if manifest.step == "records" and manifest.content_hash in inputs.values()
    }
    vocab_path, vocab = _find_vocabulary(inputs.get("vocab"), outputs) or (None, None)
    return Lineage(
        vocab=vocab,
        vocab_address=str(vocab_path or ""),
        records=tuple(records[value] for value in inputs.values() if value in records),
        **origin,
        finetuned=finetuned,
        evaluated=evaluated,
        evaluation_address=str(evaluation_path or ""),
        random_evaluated=random_evaluation.manifest if random_evaluation else None,
    )


def _outputs_below(folder: Path) -> Iterator[OutputFolder]:
    """Yield all folders with a manifest below a folder, sorted by path, and their manifests.

    Manifests that cannot be read are passed over.

    Raises:
        InputError: There is no such folder; raised when the first output is asked for.
    """
    if not folder.is_dir():
        raise InputError(f"--run {folder}: no such folder on this machine")
    for path in sorted(folder.rglob(MANIFEST_NAME)):
        with contextlib.suppress(InputError):  # another program's file of that name
            manifest = find_manifest(path.parent)
            if manifest:
                yield OutputFolder(path.parent, manifest)


def _find_pretraining(finetuned: Manifest, outputs: Sequence[OutputFolder]) -> Manifest | None:
    """Return the pretraining or imported checkpoint with the weights a fine-tuning began with.

    Fine-tuning notes the hash of the model, whichever format it came in, not that of a manifest:
    each pretrained model is read until one has it. None if none has.

    Raises:
        InputError: One of them cannot be read.
        ServiceError: The storage of one of them failed.
    """
    expected = finetuned.inputs["pretrained"]
    for folder, manifest in outputs:
        is_start = manifest.step in ("pretrain", "checkpoint")
        if is_start and read_checkpoint(folder).content_hash() == expected:
            return manifest
    return None


def _find_evaluation(finetuned: Manifest, outputs: Sequence[OutputFolder]) -> OutputFolder | None:
    """Return the first evaluation of a fine-tuning; None if there is none."""
    for output in outputs:
        is_evaluation = output.manifest.step == "evaluate"
        if is_evaluation and output.manifest.inputs["model"] == finetuned.content_hash:
            return output
    return None


def _find_random_twin(finetuned: Manifest, outputs: Sequence[OutputFolder]) -> Manifest | None:
    """Return the fine-tuning with the same settings and inputs, but from random weights.

    None if there is none, or if `finetuned` itself is from random weights.
    """
    config = {**finetuned.config, "initialization": "random"}
    if config == finetuned.config:
        return None
    for _, manifest in outputs:
        is_finetuning = manifest.step == "finetune"
        if is_finetuning and manifest.config == config and manifest.inputs == finetuned.inputs:
            return manifest
    return None


def _find_vocabulary(
    content_hash: str | None, outputs: Sequence[OutputFolder]
) -> OutputFolder | None:
    """Return the first output of a vocabulary whose content has a hash; None if there is none.

    Vocabularies are read until one has it; with None as `content_hash` none is read.

    Raises:
        InputError: A vocabulary cannot be read.
        ServiceError: The storage failed.
    """
    for output in outputs if content_hash else ():
        is_vocabulary = output.manifest.step == "vocab"
        if is_vocabulary and load_tokenizer(output.folder).content_hash() == content_hash:
            return output
    return None
