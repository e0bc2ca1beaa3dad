"""The facts of a card, section by section; those of the model, its limits and its export."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from albert_core.artifacts.manifest import Manifest
from albert_core.checkpoints import Description
from albert_core.checkpoints.description import ModelSummary
from albert_core.exports.formats import FORMATS, ExportFormat
from components.export.card.config import CardConfig
from components.export.card.data import data_section, vocabulary_section
from components.export.card.scores import classes_section, scores_section
from components.export.card.sections import CardTable, Section, keep_known
from components.export.card.training import finetuning_section, pretraining_section
from components.export.lineage import Lineage
from components.number_formats import format_exact_percent, format_number

# The Hugging Face hub's names for metrics and kinds of tasks.
_HUB_METRICS = {
    "pearson": "pearsonr",
    "spearman": "spearmanr",
    "exact": "exact_match",
    "micro_f1": "f1",
    "macro_f1": "f1",
    "micro_precision": "precision",
    "macro_precision": "precision",
    "micro_recall": "recall",
    "macro_recall": "recall",
}
_HUB_TASKS = {
    "classification": "text-classification",
    "multi_label": "text-classification",
    "regression": "text-classification",
    "multiple_choice": "multiple-choice",
    "question_answering": "question-answering",
    "token_classification": "token-classification",
}
_SENTENCE_SOURCES = {
    "corpus": "the text of the vocabulary",
    "file": "a file that was given",
    "package": "English sentences that come with this program",
}
_UNUSABLE = "unusable"  # how `describe` begins what it says of a vocabulary that cannot be read

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


def gather_facts(
    description: Description,
    *,
    task: Values | None = None,
    lineage: Lineage | None = None,
    parity: Values | None = None,
    export_format: ExportFormat | None = None,
    card: CardConfig | None = None,
) -> CardFacts:
    """Gather what is known of a model; sections about which nothing is known are left out.

    That all arguments are of the same model is not checked. If `card` names languages, those of the
    lineage are not used. The scores by label are read from the evaluation's folder.

    Args:
        description: What its files say.
        task: The declaration of the task it was fine-tuned on (task.json).
        lineage: Manifests of the steps that led to it.
        parity: The proof of its export (parity.json); parts may be missing.
        export_format: The format it was exported in.
        card: What only people know about it.

    Raises:
        InputError: The evaluation's files cannot be read, or the settings in a manifest of
            pretraining or records are not those of this version.
        ServiceError: The storage of the evaluation failed.
    """
    card, lineage, task = card or CardConfig(), lineage or Lineage(), task or {}
    model = description.model
    languages = card.languages or lineage.languages
    sections = (
        _model_section(description, task, export_format, card, languages),
        Section(title="Intended use", text=card.intended_use),
        scores_section(task, lineage),
        classes_section(lineage),
        _limits_section(description, task, lineage, languages),
        finetuning_section(lineage.finetuned),
        _checkpoint_section(lineage.checkpoint),
        pretraining_section(lineage, model.config if model else None, card),
        data_section(lineage.records, card),
        vocabulary_section(lineage.vocab),
        _export_section(parity or {}),
        _provenance_section(lineage.manifests),
    )
    return CardFacts(
        name=card.name or _default_name(model, task),
        header=_header(description, task, export_format, card, languages),
        sections=[section for section in sections if not section.is_empty],
    )


def _default_name(model: ModelSummary | None, task: Values) -> str:
    """Return a name from the model's size and its task, such as `ALBERT base v2`."""
    name = f"ALBERT {model.size}".strip() if model else "ALBERT"
    return f"{name}, fine-tuned on {task['name']}" if "name" in task else name


def _header(
    description: Description,
    task: Values,
    export_format: ExportFormat | None,
    card: CardConfig,
    languages: Sequence[str],
) -> Values:
    """Return the front matter by the Hugging Face hub's keys and names.

    Keys of which nothing is known are left out. The tags are albert, the task, the format and those
    of `card`, each once. The pipeline tag is that of the kind of task, or else fill-mask if the
    model has a masked-LM head.
    """
    heads = description.model.heads if description.model else ()
    kind = task.get("kind") or description.purpose.kind
    hub_task = _HUB_TASKS.get(kind, "fill-mask" if "masked_lm" in heads else "")
    tags = ("albert", task.get("name"), export_format, *card.tags)
    values = {
        "license": card.license,
        "language": list(languages),
        "library_name": FORMATS[export_format].hub_library if export_format else None,
        "pipeline_tag": hub_task,
        "tags": [tag for tag in dict.fromkeys(tags) if tag],
        "metrics": list(
            dict.fromkeys(_HUB_METRICS.get(name, name) for name in task.get("metrics", ()))
        ),
    }
    return {name: value for name, value in values.items() if value}


def _model_section(
    description: Description,
    task: Values,
    export_format: ExportFormat | None,
    card: CardConfig,
    languages: Sequence[str],
) -> Section:
    """Return a section about licence, architecture, vocabulary and task; unknown facts left out.

    Kind and labels are those that the task declares, else those that the model's files tell.
    """
    model, vocabulary, purpose = description.model, description.vocabulary, description.purpose
    config = model.config if model else None
    return Section(
        title="Model",
        facts=keep_known(
            ("License", card.license),
            ("Languages", languages),
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
            ("Vocabulary size", config and config.vocab_size),
            ("Vocabulary", "" if vocabulary.startswith(_UNUSABLE) else vocabulary),
            ("Longest input, in tokens", config and config.max_position_embeddings),
            ("Task", task.get("name")),
            ("Kind of task", (task.get("kind") or purpose.kind).replace("_", " ")),
            ("Labels", task.get("labels") or purpose.labels),
        ),
    )


def _limits_section(
    description: Description, task: Values, lineage: Lineage, languages: Sequence[str]
) -> Section:
    """Return a section about the lengths, languages and case that the model has seen in training.

    Case and accents are named only if they are lost. What it was scored on is there, too. Empty
    without any manifest.
    """
    finetuned, evaluated = lineage.finetuned, lineage.evaluated
    if not lineage.manifests:
        return Section(title="Limits")
    lengths = [m.config["records"]["sequence_length"] for m in lineage.records]
    is_lower_case = ", lower case" in description.vocabulary
    has_vocabulary = description.vocabulary and not description.vocabulary.startswith(_UNUSABLE)
    drops_accents = has_vocabulary and not description.vocabulary.endswith("accents kept")
    return Section(
        title="Limits",
        facts=keep_known(
            ("Languages of the text", languages),
            ("Sequence lengths of pretraining, in tokens", lengths),
            (
                "Longest input of fine-tuning, in tokens",
                finetuned and finetuned.config["finetuning"]["sequence_length"],
            ),
            ("Case", "text is lower-cased, so that case is lost" if is_lower_case else ""),
            ("Accents", "accents and umlauts are dropped, and so lost" if drops_accents else ""),
            ("Unknown tokens in the text", _unknown_fraction(lineage.records)),
            ("Scored on", evaluated and f"{task.get('name', evaluated.config['task'])} alone"),
        ),
    )


def _checkpoint_section(checkpoint: Manifest | None) -> Section:
    """Return a section about the checkpoint that fine-tuning started from; empty for None.

    It has the checkpoint's path, kind, size and heads.
    """
    if checkpoint is None:
        return Section(title="Checkpoint")
    metrics = checkpoint.metrics
    return Section(
        title="Checkpoint",
        facts=keep_known(
            ("Read from", checkpoint.config["path"]),
            ("Kind", metrics["kind"]),
            ("Size", metrics["size"]),
            ("Heads", metrics["heads"]),
        ),
    )


def _unknown_fraction(records: Sequence[Manifest]) -> str | None:
    """Return the percentage of unknown tokens in the last records; None without records."""
    return format_exact_percent(records[-1].metrics["unknown_fraction"]) if records else None


def _export_section(parity: Values) -> Section:
    """Return a section about the proof of an export: differences, bytes and scores.

    What parity.json lacks is left out; of an empty one the section is empty.
    """
    differences, scores = parity.get("differences") or {}, parity.get("scores") or {}
    is_quantized = (parity.get("bounds") or {}).get("is_quantized")
    prefix = "probabilities of " if is_quantized else ""
    metric = str(scores.get("metric", "score")).replace("_", " ").capitalize()
    return Section(
        title="Export",
        facts=keep_known(
            ("Sentences that both models read", parity.get("num_sentences")),
            ("Where they come from", _SENTENCE_SOURCES.get(parity.get("sentence_source", ""))),
            *(
                (f"Largest difference of {prefix}{name}", format_number(value, digits=3))
                for name, value in differences.items()
            ),
            ("Bytes of the files", parity.get("file_bytes")),
            ("Bytes of the files for each byte of the parameters", parity.get("size_ratio")),
            (f"{metric} before the export", _round_score(scores.get("before"))),
            (f"{metric} after the export", _round_score(scores.get("after"))),
            ("Dev examples that both models read", scores.get("num_examples")),
        ),
    )


def _round_score(score: float | None) -> float | None:
    """Return a score with four decimals, as in the manifests of the steps; None for None."""
    return None if score is None else round(score, 4)


def _provenance_section(manifests: Sequence[Manifest]) -> Section:
    """Return a section with a row for each step: the hash of its output, and its code's version.

    Of the hash it has the first 16 digits. Empty without manifests.
    """
    rows = [(m.step, m.content_hash[:16], m.code_version) for m in manifests]
    columns = ("Step", "Hash of its output", "Version of the code")
    return Section(title="Provenance", table=CardTable.from_values(columns, rows))
