"""Proof that an exported model is the same model: outputs on real sentences, file sizes, scores."""

import dataclasses
import fnmatch
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from albert_core.checkpoints.checkpoint import Checkpoint, reference_function
from albert_core.checkpoints.release import STEP_CHECKPOINT_NAME
from albert_core.errors import StepFailedError
from albert_core.exports.comparison import largest_differences
from albert_core.exports.description import PARITY_NAME
from albert_core.exports.formats import Bounds
from albert_core.exports.sentences import SentenceSource, sentence_batches
from albert_core.files.atomic import write_json
from albert_core.finetuning.dev_set import DevSet
from albert_core.model_function import ModelFunction, ModelInputs, ModelOutputs
from albert_core.tokenization.kinds import vocabulary_patterns

# Settings and vocabulary, by their names in all formats; and a TensorFlow 1 checkpoint's second
# name, under which the same bytes are there again.
_SIDE_FILES = ("*.json", "*.vocab", f"{STEP_CHECKPOINT_NAME}.*", *vocabulary_patterns())
_ROUNDING = 1e-9  # of the difference of two scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreComparison:
    """A task's metric before and after the export.

    Attributes:
        metric: Name of the task's first metric.
        before: Its value for the Keras model.
        after: Its value for the exported model, in the format's own runtime.
        num_examples: Number of examples of the dev set that were scored.
    """

    metric: str
    before: float
    after: float
    num_examples: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parity:
    """The measured differences between an exported model and the one it was made of.

    Attributes:
        format: The format.
        num_sentences: Sentences that both models read; 0 without a vocabulary, when the tokens are
            random.
        num_sequences: Sequences made of them.
        longest_sequence: Tokens of the longest.
        differences: Largest difference of each output, or of its probabilities for a quantized
            model.
        file_bytes: Size of the files, without the vocabulary and settings.
        parameter_bytes: Size of the parameters in float32.
        scores: The task's metric before and after, if there was a dev set.
        sentence_source: Where the sentences come from: `corpus`, `package`, or a `file` given.
        bounds: What is allowed: differences of outputs, size of the files, change of the score.
    """

    format: str
    num_sentences: int
    num_sequences: int
    longest_sequence: int
    differences: Mapping[str, float]
    file_bytes: int
    parameter_bytes: int
    scores: ScoreComparison | None
    bounds: Bounds
    sentence_source: SentenceSource = "package"

    @property
    def largest_difference(self) -> float:
        """Largest difference of all outputs; NaN if one is NaN."""
        return float(np.max(list(self.differences.values())))

    @property
    def size_ratio(self) -> float:
        """Bytes of the files for each byte of the parameters, overhead included."""
        return self.file_bytes / self.parameter_bytes

    @property
    def failures(self) -> list[str]:
        """A sentence for each bound that is exceeded, with the measured value."""
        return [*self._differing_outputs(), *self._excess_size(), *self._changed_score()]

    def _differing_outputs(self) -> Iterator[str]:
        """Yield a sentence for each output that differs by more than the bound, or is NaN."""
        prefix = "probabilities of " if self.bounds.is_quantized else ""
        for name, value in self.differences.items():
            if not value <= self.bounds.difference:  # negated, so that NaN fails
                yield f"{prefix}{name} differ by {value:.3g}, allowed {self.bounds.difference:g}"

    def _excess_size(self) -> Iterator[str]:
        """Yield a sentence if the files have more than `size_ratio` times the parameters' bytes.

        `overhead_bytes` are allowed on top of that; both are those of the bounds.
        """
        bounds = self.bounds
        if self.file_bytes > bounds.size_ratio * self.parameter_bytes + bounds.overhead_bytes:
            yield (
                f"files hold {self.file_bytes:,} bytes, {self.size_ratio:.2f} times the "
                f"parameters' {self.parameter_bytes:,}, allowed {bounds.size_ratio:g} times and "
                f"{bounds.overhead_bytes:,}"
            )

    def _changed_score(self) -> Iterator[str]:
        """Yield a sentence if the metric changed by more than the bound; none without scores.

        For a quantized model only a loss counts. For other models a gain counts, too, but a change
        by one example is allowed, however few examples there are.
        """
        if self.scores is None:
            return
        loss = self.scores.before - self.scores.after
        change, allowed = loss if self.bounds.is_quantized else abs(loss), self.bounds.score_change
        if not self.bounds.is_quantized:
            allowed = max(allowed, 1 / self.scores.num_examples)
        if not change <= allowed + _ROUNDING:
            yield (
                f"{self.scores.metric} is {self.scores.after:.4f}, before {self.scores.before:.4f}"
                f", allowed a change of {allowed:.2g}"
            )

    def to_values(self) -> dict[str, Any]:
        """Return the contents of parity.json: all attributes, `size_ratio` and `passed`.

        `passed` tells whether there are no `failures`.
        """
        return {
            **dataclasses.asdict(self),
            "size_ratio": round(self.size_ratio, 4),
            "passed": not self.failures,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """The Keras model's outputs on all batches, and its size.

    Attributes:
        source: Where the model comes from, for messages.
        batches: Its inputs.
        outputs: Its outputs for each batch.
        num_sentences: Sentences in the batches; 0 if the tokens are random.
        parameter_bytes: Size of the parameters in float32.
        is_multi_label: Whether each of its logits has a probability by itself.
        dev: The task's dev set with the model's score, if there is one.
        sentence_source: Where the sentences come from.
    """

    source: str
    batches: Sequence[ModelInputs]
    outputs: Sequence[ModelOutputs]
    num_sentences: int
    parameter_bytes: int
    is_multi_label: bool = False
    dev: DevSet | None = None
    sentence_source: SentenceSource = "package"


def make_reference(
    checkpoint: Checkpoint,
    sentences: Sequence[str],
    dev: DevSet | None = None,
    *,
    sentence_source: SentenceSource = "package",
) -> Reference:
    """Run the Keras model on batches of sentences, once for all formats.

    Args:
        checkpoint: The model; without a vocabulary it reads random tokens instead.
        sentences: At least one sentence.
        dev: The task's dev set, already scored by this model; None to compare no scores.
        sentence_source: Where the sentences come from, for the report.

    Raises:
        InputError: The weights do not fit the model.
    """
    batches = sentence_batches(checkpoint, sentences)
    run = reference_function(checkpoint)
    return Reference(
        source=checkpoint.source,
        batches=batches,
        outputs=[run(batch) for batch in batches],
        num_sentences=len(sentences) if checkpoint.tokenizer else 0,
        parameter_bytes=sum(array.nbytes for array in checkpoint.weights.values()),
        is_multi_label=checkpoint.is_multi_label,
        dev=dev,
        sentence_source=sentence_source,
    )


def prove(
    reference: Reference,
    folder: Path,
    *,
    name: str,
    open_format: Callable[[Path], ModelFunction],
    bounds: Bounds,
) -> Parity:
    """Open an exported model, compare it with the reference and write parity.json into its folder.

    parity.json is written only if all bounds are kept. The exported folder stays after an error.

    Args:
        reference: The Keras model's outputs.
        folder: Folder of the exported model.
        name: Name of the format.
        open_format: Opens the folder in the format's own runtime.
        bounds: How far it may be from the reference.

    Raises:
        StepFailedError: It cannot be opened or run, or bounds are exceeded; all of these are named.
    """
    subject = f"export {name} of {reference.source}"
    try:
        parity = _measure(reference, open_format(folder), folder, name, bounds)
    except Exception as error:  # each runtime has exceptions of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StepFailedError(f"{subject}: what was written does not run: {reason}") from error
    if parity.failures:
        raise StepFailedError(f"{subject}: not the same model: {'; '.join(parity.failures)}")
    write_json(folder / PARITY_NAME, parity.to_values())
    return parity


def _measure(
    reference: Reference, run: ModelFunction, folder: Path, name: str, bounds: Bounds
) -> Parity:
    """Return all measurements of an exported model, whether within the bounds or not.

    Runs it on all batches of the reference and, if there is a dev set, on that.

    Raises:
        StepFailedError: The exported model lacks an output, or has one of another shape.
    """
    shapes = [batch["input_ids"].shape for batch in reference.batches]
    scores = None
    differences = _differences(reference, run, as_probabilities=bounds.is_quantized)
    if reference.dev:
        scores = ScoreComparison(
            metric=reference.dev.metric,
            before=reference.dev.score,
            after=reference.dev.compute_score(run),
            num_examples=len(reference.dev.data.examples),
        )
    return Parity(
        format=name,
        num_sentences=reference.num_sentences,
        num_sequences=sum(math.prod(shape[:-1]) for shape in shapes),
        longest_sequence=max(shape[-1] for shape in shapes),
        differences=differences,
        file_bytes=_count_model_bytes(folder),
        parameter_bytes=reference.parameter_bytes,
        scores=scores,
        bounds=bounds,
        sentence_source=reference.sentence_source,
    )


def _differences(
    reference: Reference, run: ModelFunction, *, as_probabilities: bool
) -> dict[str, float]:
    """Return the largest difference of each output over all batches; NaN if any is NaN.

    Raises:
        StepFailedError: An output is missing, or of another shape.
    """
    largest: dict[str, float] = {}
    for inputs, expected in zip(reference.batches, reference.outputs, strict=True):
        batch_differences = largest_differences(
            expected,
            run(inputs),
            as_probabilities=as_probabilities,
            is_multi_label=reference.is_multi_label,
        )
        for name, value in batch_differences.items():
            # Not `max`, which drops a NaN in some orders.
            largest[name] = float(np.maximum(largest.get(name, 0.0), value))
    return largest


def _count_model_bytes(folder: Path) -> int:
    """Return the bytes of a folder's files at any depth.

    Settings (*.json), vocabularies and a TensorFlow 1 checkpoint's second copy are left out.
    """
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and not any(fnmatch.fnmatch(path.name, p) for p in _SIDE_FILES)
    )
