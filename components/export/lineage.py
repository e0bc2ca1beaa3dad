"""Where a model comes from: the manifests of the steps that led to it, found by their hashes."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from albert_core.artifacts.inputs import input_folder
from albert_core.artifacts.manifest import MANIFEST_NAME, Manifest, find_manifest
from albert_core.artifacts.outputs import output_at
from albert_core.checkpoints import read_checkpoint
from albert_core.errors import InputError
from albert_core.tokenization import load_tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lineage:
    """Manifests of the steps that led to a model; what is not known is None or empty.

    Attributes:
        vocab: Of its vocabulary.
        records: Of its records, one for each sequence length.
        pretrained: Of its pretraining.
        finetuned: Of its fine-tuning.
        evaluated: Of its evaluation.
        random_evaluated: Of the evaluation after the same fine-tuning from random weights.
    """

    vocab: Manifest | None = None
    records: tuple[Manifest, ...] = ()
    pretrained: Manifest | None = None
    finetuned: Manifest | None = None
    evaluated: Manifest | None = None
    random_evaluated: Manifest | None = None

    def __post_init__(self) -> None:
        tuned, scored = self.finetuned, self.evaluated
        if tuned and scored and scored.inputs["model"] != tuned.content_hash:
            raise InputError("card: got the evaluation of another model than the one fine-tuned")
        if self.pretrained:
            read = self.pretrained.inputs.values()
            if any(manifest.content_hash not in read for manifest in self.records):
                raise InputError("card: got other records than the model was pretrained on")

    @property
    def manifests(self) -> list[Manifest]:
        """Those of the model's own steps, in the order of the steps."""
        own = (self.vocab, *self.records, self.pretrained, self.finetuned, self.evaluated)
        return [manifest for manifest in own if manifest]


def lineage_at(
    *,
    finetuned: str | Path | None = None,
    evaluated: str | Path | None = None,
    random_evaluated: str | Path | None = None,
    pretrained: str | Path | None = None,
    records: Sequence[str | Path] = (),
    vocab: str | Path | None = None,
) -> Lineage:
    """Return the lineage of outputs whose places are known, local or gs://.

    Only manifests are read. An output without one, such as a downloaded checkpoint, counts as not
    known.

    Raises:
        InputError: The outputs are not of one model.
    """

    def manifest_at(address: str | Path | None) -> Manifest | None:
        return output_at(address).manifest() if address else None

    return Lineage(
        vocab=manifest_at(vocab),
        records=tuple(manifest for each in records if (manifest := manifest_at(each))),
        pretrained=manifest_at(pretrained),
        finetuned=manifest_at(finetuned),
        evaluated=manifest_at(evaluated),
        random_evaluated=manifest_at(random_evaluated),
    )


def find_lineage(model: str | Path, run: str | Path | None = None) -> Lineage:
    """Return the lineage of a model that a step wrote, from the outputs somewhere below a folder.

    A step's manifest has the hash of each input, so that only what really led to the model is
    taken, whatever else is there.

    Args:
        model: Output of `albert pretrain` or `albert finetune`.
        run: A run's folder on this machine, or one that holds outputs of single steps. Without it
            only the model's own manifest is read.

    Raises:
        InputError: There is no such folder, or no step wrote the model.
    """
    own = find_manifest(input_folder(model))
    if run is None:
        return _of_model(own, []) if own else Lineage()
    if own is None or own.step not in ("pretrain", "finetune"):
        raise InputError(
            f"{model}: not the output of `albert pretrain` or `albert finetune`, so what led to it "
            "cannot be found below --run; name that output"
        )
    return _of_model(own, list(_outputs_below(Path(run))))


_Found = tuple[Path, Manifest]


def _of_model(own: Manifest, found: Sequence[_Found]) -> Lineage:
    is_tuned = own.step == "finetune"
    tuned = own if is_tuned else None
    pretrained = _pretraining_of(own, found) if is_tuned else own
    evaluated = _evaluation_of(own, found) if is_tuned else None
    random = _random_twin(own, found) if is_tuned else None
    wanted = pretrained.inputs if pretrained else {}
    records = {
        m.content_hash: m
        for _, m in found
        if m.step == "records" and m.content_hash in wanted.values()
    }
    return Lineage(
        vocab=_vocabulary_of(wanted.get("vocab"), found),
        records=tuple(records[value] for value in wanted.values() if value in records),
        pretrained=pretrained,
        finetuned=tuned,
        evaluated=evaluated,
        random_evaluated=_evaluation_of(random, found) if random and evaluated else None,
    )


def _outputs_below(folder: Path) -> Iterator[_Found]:
    if not folder.is_dir():
        raise InputError(f"--run {folder}: no such folder on this machine")
    for path in sorted(folder.rglob(MANIFEST_NAME)):
        with contextlib.suppress(InputError):  # another program's file of that name
            manifest = find_manifest(path.parent)
            if manifest:
                yield path.parent, manifest


def _pretraining_of(tuned: Manifest, found: Sequence[_Found]) -> Manifest | None:
    wanted = tuned.inputs["pretrained"]
    candidates = (pair for pair in found if pair[1].step == "pretrain")
    return next((m for path, m in candidates if _model_hash(path) == wanted), None)


def _model_hash(folder: Path) -> str:
    return read_checkpoint(folder).content_hash()


def _evaluation_of(tuned: Manifest, found: Sequence[_Found]) -> Manifest | None:
    wanted = tuned.content_hash
    candidates = (m for _, m in found if m.step == "evaluate")
    return next((m for m in candidates if m.inputs["model"] == wanted), None)


def _random_twin(tuned: Manifest, found: Sequence[_Found]) -> Manifest | None:
    """Return the same fine-tuning from random weights; of such a one nothing."""
    wanted = {**tuned.config, "initialization": "random"}
    if wanted == tuned.config:
        return None
    candidates = (m for _, m in found if m.step == "finetune" and m.config == wanted)
    return next((m for m in candidates if m.inputs == tuned.inputs), None)


def _vocabulary_of(wanted: str | None, found: Sequence[_Found]) -> Manifest | None:
    candidates = (pair for pair in found if pair[1].step == "vocab")
    hashes = ((load_tokenizer(path).content_hash(), m) for path, m in candidates)
    return next((m for found_hash, m in hashes if found_hash == wanted), None)
