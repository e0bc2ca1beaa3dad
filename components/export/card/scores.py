"""The card's sections about the scores of a fine-tuned model."""

from collections.abc import Iterator, Mapping
from typing import Any

from albert_core.artifacts.manifest import Manifest
from components.evaluate.classification import read_classification
from components.export.card.sections import CardTable, Section
from components.export.lineage import Lineage
from components.number_formats import format_exact

# What a manifest of evaluation holds beside the task's metrics.
_NO_METRICS = ("score", "low", "high", "null_threshold", "without_model_score")
_MAX_CLASSES = 30
_COLUMNS = (
    "Metric",
    "Score",
    "Mean over seeds",
    "Standard deviation over seeds",
    "95 % interval",
    "Majority baseline",
    "From random weights",
)


def scores_section(task: Mapping[str, Any], lineage: Lineage) -> Section:
    """Return a section with a row for each metric; empty without a fine-tuning.

    A row has the score, its mean and standard deviation over seeds, and the score from random
    weights, as far as known; only the first also has the interval and the majority baseline.
    The scores are those of the evaluation; without one, those of the fine-tuning for the metrics
    that the task declares, on the dev set alone.

    Args:
        task: The task's declaration (task.json); read only where there is no evaluation.
        lineage: Manifests of fine-tuning and evaluations.
    """
    finetuned, random = lineage.finetuned, lineage.random_evaluated
    if finetuned is None:
        return Section(title="Scores")
    if lineage.evaluated:
        scores: Mapping[str, Any] = lineage.evaluated.metrics
    else:
        scores = {name: finetuned.metrics[name] for name in task.get("metrics", ())}
    names = [name for name in scores if name not in _NO_METRICS]
    rows = [
        (
            name.replace("_", " "),
            scores[name],
            finetuned.metrics.get(f"{name}_mean"),
            finetuned.metrics.get(f"{name}_std"),
            # Interval and baseline are only noted of the first metric.
            *(_interval_and_baseline(finetuned, scores) if name == names[0] else (None, None)),
            random.metrics.get(name) if random else None,
        )
        for name in names
    ]
    has_test = any(name.startswith("test_") for name in names)
    return Section(
        title="Scores",
        notes=list(_notes(finetuned, has_test=has_test)),
        table=CardTable.from_values(_COLUMNS, rows),
    )


def classes_section(lineage: Lineage) -> Section:
    """Return a section with a row for each class, label or type of entities of the dev set.

    Empty without an evaluation that has classes; if there are over `_MAX_CLASSES` (30), the most
    frequent are shown. The rows are in the order of the labels.

    Raises:
        InputError: The evaluation's files cannot be read.
        ServiceError: The storage of the evaluation failed.
    """
    address = lineage.evaluation_address
    described = read_classification(address) if address and lineage.evaluated else None
    rows = (described or {}).get("classes", [])
    shown = sorted(rows, key=lambda row: -row["num_examples"])[:_MAX_CLASSES]
    notes = [
        "On the dev set. Precision: of the predictions of a label, the fraction that is right. "
        "Recall: of the label's examples, the fraction that is found."
    ]
    if len(shown) < len(rows):
        notes.append(f"{len(rows) - len(shown)} labels with fewer examples are left out here.")
    return Section(
        title="Scores by label",
        notes=notes,
        table=CardTable.from_values(
            ("Label", "Precision", "Recall", "F1", "Examples"),
            [
                (
                    row["label"],
                    *(round(row[name], 4) for name in ("precision", "recall", "f1")),
                    row["num_examples"],
                )
                for row in rows
                if row in shown
            ],
        ),
    )


def _interval_and_baseline(
    finetuned: Manifest, scores: Mapping[str, Any]
) -> tuple[str | None, float]:
    """Return the confidence interval of the first metric, as text, and its majority baseline.

    The interval is that of an evaluation's `scores`, None where they have none; the baseline is
    always that of the fine-tuning.
    """
    interval = None
    if "low" in scores:
        interval = f"{format_exact(scores['low'])} to {format_exact(scores['high'])}"
    return interval, finetuned.metrics["majority_score"]


def _notes(finetuned: Manifest, *, has_test: bool) -> Iterator[str]:
    """Yield sentences that say on what data the scores were taken, and what was chosen by it.

    Args:
        finetuned: Manifest of the fine-tuning.
        has_test: Whether there are rows of the test set, too.
    """
    settings, metrics = finetuned.config["finetuning"], finetuned.metrics
    test = "; rows that begin with test are on the test set" if has_test else ""
    num_dev = format_exact(metrics["num_dev"])
    yield f"On the dev set of {finetuned.config['task']}, {num_dev} examples{test}."
    seeds = f", of {metrics['num_seeds']} seeds" if "num_seeds" in metrics else ""
    yield (
        "The dev set also chose the weights: the best of "
        f"{settings['num_evaluations']} evaluations{seeds}. The majority baseline needs no model: "
        "it always predicts the most frequent label, or what stands for it in other kinds of tasks."
    )
