"""What a card says: facts of the model, its scores and its export, section by section."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints import Description
from albert_core.checkpoints.description import ModelDescription
from components.export.card_config import CardConfig
from components.export.card_data import data_section, vocabulary_section
from components.export.card_sections import Section, Table, exact, present, rounded, share
from components.export.card_training import finetuning_section, pretraining_section
from components.export.lineage import Lineage

# Names that the Hugging Face hub has for what we call otherwise.
_HUB_METRICS = {"pearson": "pearsonr", "spearman": "spearmanr", "exact": "exact_match"}
_HUB_LIBRARIES = {"huggingface": "transformers", "keras_archive": "keras"}
_HUB_TASKS = {
    "classification": "text-classification",
    "regression": "text-classification",
    "multiple_choice": "multiple-choice",
    "question_answering": "question-answering",
}
_NO_METRICS = ("score", "low", "high", "null_threshold")
_SCORE_COLUMNS = (
    "Metric",
    "Score",
    "Mean over seeds",
    "Deviation over seeds",
    "95 % interval",
    "Majority baseline",
    "From random weights",
)
_UNUSABLE = "unusable"  # how a description begins of a vocabulary that is none

Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Everything a card shows.

    Attributes:
        name: Its title.
        header: Its front matter, as the Hugging Face hub reads it.
        sections: Its sections, none of them empty.
    """

    name: str
    header: Values
    sections: Sequence[Section]


def facts_of(
    description: Description,
    *,
    task: Values | None = None,
    lineage: Lineage | None = None,
    parity: Values | None = None,
    export_format: str = "",
    card: CardConfig | None = None,
) -> CardFacts:
    """Gather what is known of a model; all but the model itself may be missing.

    Args:
        description: What its files say.
        task: The declaration of the task it was fine-tuned on (task.json).
        lineage: Manifests of the steps that led to it.
        parity: What was found when it was exported (parity.json).
        export_format: Name of the format it was exported in.
        card: What people say about it.
    """
    card, lineage, task = card or CardConfig(), lineage or Lineage(), task or {}
    model = description.model
    config = model.config if model else None
    sections = (
        _model_section(description, task, export_format, card),
        Section(title="Intended use", text=card.intended_use),
        _scores_section(task, lineage),
        _limits_section(description, task, lineage, card),
        finetuning_section(lineage.finetuned),
        pretraining_section(lineage, config, card),
        data_section(lineage.records, card),
        vocabulary_section(lineage.vocab),
        _export_section(parity or {}),
        _provenance_section(lineage.manifests),
    )
    return CardFacts(
        name=card.name or _name_of(model, task),
        header=_header(model, task, export_format, card),
        sections=[section for section in sections if not section.is_empty],
    )


def _name_of(model: ModelDescription | None, task: Values) -> str:
    name = f"ALBERT {model.size}".strip() if model else "ALBERT"
    return f"{name}, fine-tuned on {task['name']}" if "name" in task else name


def _header(
    model: ModelDescription | None, task: Values, export_format: str, card: CardConfig
) -> Values:
    heads = model.heads if model else ()
    hub_task = _HUB_TASKS.get(task.get("kind", ""), "fill-mask" if "masked_lm" in heads else "")
    tags = ("albert", task.get("name"), export_format, *card.tags)
    values = {
        "license": card.license,
        "language": list(card.languages),
        "library_name": _HUB_LIBRARIES.get(export_format),
        "pipeline_tag": hub_task,
        "tags": [tag for tag in dict.fromkeys(tags) if tag],
        "metrics": [_HUB_METRICS.get(name, name) for name in task.get("metrics", ())],
    }
    return {name: value for name, value in values.items() if value}


def _model_section(
    description: Description, task: Values, export_format: str, card: CardConfig
) -> Section:
    model, vocabulary = description.model, description.vocabulary
    config = model.config if model else None
    return Section(
        title="Model",
        facts=present(
            ("License", card.license),
            ("Languages", card.languages),
            ("Format", export_format),
            ("Size", model.size if model else ""),
            ("Parameters", model.num_parameters if model else None),
            ("Heads", model.heads if model else ()),
            ("Layers", config and config.num_hidden_layers),
            ("Hidden size", config and config.hidden_size),
            ("Attention heads", config and config.num_attention_heads),
            ("Feed-forward size", config and config.intermediate_size),
            ("Embedding size", config and config.embedding_size),
            ("Activation", config and config.hidden_act),
            ("Pieces in the vocabulary", config and config.vocab_size),
            ("Vocabulary", "" if vocabulary.startswith(_UNUSABLE) else vocabulary),
            ("Longest input, in pieces", config and config.max_position_embeddings),
            ("Task", task.get("name")),
            ("Kind of task", task.get("kind", "").replace("_", " ")),
            ("Labels", task.get("labels", ())),
        ),
    )


def _scores_section(task: Values, lineage: Lineage) -> Section:
    tuned, scored, random = lineage.finetuned, lineage.evaluated, lineage.random_evaluated
    if tuned is None:
        return Section(title="Scores")
    figures = tuned.metrics
    own = scored.metrics if scored else {k: figures[k] for k in task.get("metrics", ())}
    names = [name for name in own if name not in _NO_METRICS]
    rows = [
        (
            name.replace("_", " "),
            own[name],
            figures.get(f"{name}_mean"),
            figures.get(f"{name}_std"),
            *(_of_first_metric(tuned, own) if name == names[0] else (None, None)),
            random.metrics.get(name) if random else None,
        )
        for name in names
    ]
    notes = _score_notes(tuned, has_test=any(name.startswith("test_") for name in names))
    return Section(title="Scores", notes=list(notes), table=Table.of(_SCORE_COLUMNS, rows))


def _of_first_metric(tuned: Manifest, own: Values) -> tuple[str | None, float]:
    """Return what is known of the first metric alone: its interval and its baseline."""
    interval = f"{exact(own['low'])} to {exact(own['high'])}" if "low" in own else None
    return interval, tuned.metrics["majority_score"]


def _score_notes(tuned: Manifest, *, has_test: bool) -> Iterator[str]:
    settings, figures = tuned.config["finetuning"], tuned.metrics
    test = "; rows that begin with test are on the test set" if has_test else ""
    yield f"On the dev set of {tuned.config['task']}, {exact(figures['num_dev'])} examples{test}."
    seeds = f", of {figures['num_seeds']} seeds" if "num_seeds" in figures else ""
    yield (
        "The dev set also chose the weights: the best of "
        f"{settings['num_evaluations']} evaluations{seeds}. The majority baseline needs no model: "
        "it always predicts the most frequent label, or what stands for it in other kinds of tasks."
    )


def _limits_section(
    description: Description, task: Values, lineage: Lineage, card: CardConfig
) -> Section:
    tuned, scored = lineage.finetuned, lineage.evaluated
    if not lineage.manifests:
        return Section(title="Limits")
    lengths = [m.config["records"]["sequence_length"] for m in lineage.records]
    case = description.vocabulary.endswith("lower case")
    return Section(
        title="Limits",
        facts=present(
            ("Languages of the text", card.languages),
            ("Sequence lengths of pretraining, in pieces", lengths),
            (
                "Longest input of fine-tuning, in pieces",
                tuned and tuned.config["finetuning"]["sequence_length"],
            ),
            ("Case", "text is lower-cased, so that case is lost" if case else ""),
            ("Pieces of the text that the vocabulary lacks", _unknown_fraction(lineage.records)),
            ("Scored on", scored and f"{task.get('name', scored.config['task'])} alone"),
        ),
    )


def _unknown_fraction(records: Sequence[Manifest]) -> str | None:
    return share(records[-1].metrics["unknown_fraction"]) if records else None


def _export_section(parity: Values) -> Section:
    """Return what an export was compared by; parts that parity.json lacks are left out."""
    differences, scores = parity.get("differences") or {}, parity.get("scores") or {}
    what = "probabilities of " if (parity.get("bounds") or {}).get("is_quantized") else ""
    metric = str(scores.get("metric", "score")).replace("_", " ")
    return Section(
        title="Export",
        facts=present(
            ("Sentences that both models read", parity.get("num_sentences")),
            *(
                (f"Largest difference of {what}{name}", rounded(value))
                for name, value in differences.items()
            ),
            ("Bytes of the files", parity.get("file_bytes")),
            ("Bytes of the files for each byte of the parameters", parity.get("size_ratio")),
            (f"{metric.capitalize()} before the export", _four_digits(scores.get("before"))),
            (f"{metric.capitalize()} after the export", _four_digits(scores.get("after"))),
            ("Dev examples of that comparison", scores.get("num_examples")),
        ),
    )


def _four_digits(score: float | None) -> float | None:
    """Round a score as the steps round theirs."""
    return None if score is None else round(score, 4)


def _provenance_section(manifests: Sequence[Manifest]) -> Section:
    rows = [(m.step, m.content_hash[:16], m.code_version) for m in manifests]
    columns = ("Step", "Hash of its output", "Version of the code")
    return Section(title="Provenance", table=Table.of(columns, rows))
