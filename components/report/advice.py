"""What to do next after a run, from its curves and scores: concrete, with the reason."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from albert_core.finetuning.truncation import LENGTH_FOR_MOST, NUM_TRUNCATED
from albert_core.pretraining.objectives import has_detection
from components.number_formats import (
    format_count,
    format_loss,
    format_number,
    format_percent,
    format_points,
)
from components.pretraining_metrics import detection_baseline
from components.report.summary import Advice, RunSummary, StepSummary, TaskSummary

_FALLING_LOSS = 0.05  # over the last third of the steps
_OVERFITTING_LOSS = 0.3
_MANY_EPOCHS = 10
_PLATEAU_RATIO = 1.5
_SMALL_TRAINING_SET = 5_000
_WIDE_INTERVAL = 0.02
_MANY_TRUNCATED = 0.1


def give_advice(run: RunSummary) -> list[Advice]:
    """Return advice on what to do next, the most useful first; the last is to use the best model.

    That one is given only if a task beats its baselines (`_is_useful`); the best is the one
    farthest above its majority score.

    Args:
        run: The run; its `verdict` is not read.
    """
    advice = [*_on_pretraining(run), *_on_tasks(run), *_on_baselines(run.tasks)]
    if any(_is_useful(task) for task in run.tasks):
        best = max(filter(_is_useful, run.tasks), key=lambda task: task.score - task.majority_score)
        advice.append(
            Advice(
                action=f"Use it: the model for {best.name} beats every baseline that was run.",
                reason=f"It scores {format_points(best.score)}; the commands are below.",
                setting=f"albert predict {best.model_path} FILE",
            )
        )
    return advice


def _is_useful(task: TaskSummary) -> bool:
    """Return whether a task's model is above every baseline by more than chance.

    A baseline without an interval does not count; False if none has one.
    """
    known = [difference for difference in task.differences if difference.low is not None]
    return bool(known) and all(difference.sign > 0 for difference in known)


def _on_pretraining(run: RunSummary) -> Iterator[Advice]:
    """Yield at most one advice, from the evaluations of pretraining's last phase.

    For replaced-token detection it is what `_on_detection` returns. Else on the rate if the
    accuracy is below _PLATEAU_RATIO (1.5) times that of the most frequent token; or, of two
    evaluations or more, on the text if the held-out loss is far above the training loss after more
    than one epoch, on the length if it fell in the last third of the steps, else on rate, size and
    text. Nothing without a step `pretrain` or without a finite held-out loss.
    """
    history = _finite_rows(run.pretraining_history)
    pretrain = next((step for step in run.steps if step.name == "pretrain"), None)
    if not history or pretrain is None:
        return
    last = history[-1]
    if has_detection(last):
        yield from _on_detection(last, pretrain)
        return
    accuracy = last.get("masked_lm_accuracy")
    if accuracy is not None and accuracy < _PLATEAU_RATIO * run.most_frequent_fraction:
        yield Advice(
            action="Change the learning rate, or warm up longer: the model learned little but "
            "which token is the most frequent.",
            reason=f"Held-out masked LM accuracy is {format_percent(accuracy)}; always guessing "
            f"that token gives {format_percent(run.most_frequent_fraction)}.",
            setting=_half_rate(pretrain),
        )
        return
    if len(history) < 2:
        return
    epochs = pretrain.metrics.get("num_epochs", 0)
    train_loss = last.get("train_loss")
    gap = 0.0 if train_loss is None else last["loss"] - train_loss
    fall = _late_fall(history)
    if gap > _OVERFITTING_LOSS and epochs > 1:
        yield Advice(
            action="Add text: the model begins to know its training text by heart.",
            reason=f"After {format_number(epochs)} passes its training loss is "
            f"{format_loss(train_loss)}, the held-out loss {format_loss(last['loss'])}.",
        )
    elif fall > _FALLING_LOSS:
        more_text = " and more text" if epochs > _MANY_EPOCHS else ""
        yield Advice(
            action=f"Pretrain longer{more_text}: it was still learning when it ended.",
            reason=f"The held-out loss fell by {format_loss(fall)} in the last third of the steps, "
            f"to {format_loss(last['loss'])}.",
            setting=_twice_as_long(pretrain),
        )
    else:
        yield Advice(
            action="Change the rate, the model's size or the text rather than the length of "
            "pretraining.",
            reason=f"The held-out loss moved by {format_loss(abs(fall))} in the last third of the "
            "steps.",
        )


def _on_detection(last: Mapping[str, Any], pretrain: StepSummary) -> Iterator[Advice]:
    """Yield advice if the accuracy of detection is at most that of taking no token for replaced.

    None on its length: while the generator learns, the loss of the detection may rise with a model
    that becomes better.
    """
    accuracy, baseline = last["replaced_token_accuracy"], detection_baseline(last)
    if accuracy <= baseline:
        yield Advice(
            action="Change the learning rate, or pretrain longer: the model does not tell replaced "
            "tokens from the text's.",
            reason=f"Held-out accuracy of the detection is {format_percent(accuracy)}; taking no "
            f"token for replaced gives {format_percent(baseline)}.",
            setting=_half_rate(pretrain),
        )


def _finite_rows(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of the last row's phase whose held-out loss is a finite number other than 0.

    Losses of phases of other sequence lengths cannot be compared.

    Args:
        history: Rows in the order of the steps; may be empty.
    """
    if not history:
        return []
    phase = history[-1].get("phase", 0)
    return [
        row
        for row in history
        if row.get("phase", 0) == phase and math.isfinite(row.get("loss") or math.nan)
    ]


def _late_fall(history: Sequence[Mapping[str, Any]]) -> float:
    """Return by how much the held-out loss fell in the last third of the steps; below 0 if it rose.

    The last row is compared with the last one of the first two thirds of the steps, or else with
    the first row. 0 for one row.

    Args:
        history: Rows with finite `loss` and `global_step`, in the order of the steps; one at least.
    """
    last = history[-1]
    begin = last["global_step"] * 2 / 3
    before = [row for row in history[:-1] if row["global_step"] <= begin] or history[:1]
    return float(before[-1]["loss"] - last["loss"])


def _twice_as_long(pretrain: StepSummary) -> str:
    """Return the setting for twice the minutes, else twice the tokens, else twice the steps.

    Empty if the steps are those of phases, or unknown: old configurations do not have the default.
    """
    settings = pretrain.config.get("pretraining", {})
    for budget in ("train_minutes", "num_train_tokens"):
        if settings.get(budget):
            return _option(budget, 2 * settings[budget])
    steps = settings.get("num_train_steps")
    return "" if settings.get("phases") or not steps else _option("num_train_steps", 2 * steps)


def _half_rate(pretrain: StepSummary) -> str:
    """Return the setting for half the learning rate; empty if the rate is not known."""
    rate = pretrain.config.get("pretraining", {}).get("learning_rate")
    return _option("learning_rate", rate / 2) if rate else ""


def _option(name: str, value: float) -> str:
    """Return an option of pretraining as it is typed."""
    return f"--pretraining.{name} {value:.10g}"


def _on_tasks(run: RunSummary) -> Iterator[Advice]:
    """Yield advice on tasks: long inputs, rising or falling curves, small training or dev sets.

    One for each task with long inputs, by pretraining's length or by its own; of the others at most
    one each, naming all tasks it is of.
    """
    tasks = run.tasks
    yield from _on_untrained_positions(run.steps)
    yield from _on_truncated_examples(run.steps)
    rising = [task.name for task in tasks if _is_rising(task)]
    if rising:
        yield Advice(
            action=f"Fine-tune longer on {', '.join(rising)}: the dev score still rose at the end.",
            reason="The last evaluation is the best one, by more than a point.",
            setting=_twice_the_epochs(run.steps, rising),
        )
    falling = [task.name for task in tasks if _is_falling(task)]
    if falling:
        yield Advice(
            action=f"Fine-tune {', '.join(falling)} with a lower rate, or fewer passes: the dev "
            "score fell after the first evaluation.",
            reason="The first evaluation is the best one, by more than a point.",
            setting="--finetuning.grid_learning_rates 1e-4,2e-4,5e-4",
        )
    small = [task for task in tasks if task.num_train < _SMALL_TRAINING_SET]
    if small:
        yield Advice(
            action="Collect more training examples for "
            f"{', '.join(f'{task.name} ({task.num_train:,})' for task in small)}.",
            reason="Scores learned from few examples depend much on which these are; several "
            "seeds show by how much.",
            setting="--finetuning.num_seeds 3",
        )
    wide = [task for task in tasks if _half_width(task) > _WIDE_INTERVAL]
    if wide:
        largest = max(map(_half_width, wide))
        yield Advice(
            action="Do not read small differences on "
            f"{', '.join(task.name for task in wide)}: the dev set is too small for them.",
            reason=f"With {format_count(min(task.num_dev for task in wide), 'example')} a score is "
            f"known to within {format_points(largest)} points.",
        )


def _on_untrained_positions(steps: Sequence[StepSummary]) -> Iterator[Advice]:
    """Yield advice for each task with training sequences longer than those of pretraining."""
    for step in steps:
        number = step.metrics.get("num_beyond_pretraining")
        if not number:
            continue
        length = step.metrics["trained_sequence_length"]
        name, longest = step.config["task"], step.config["finetuning"]["sequence_length"]
        yield Advice(
            action=f"Pretrain on {longest} tokens (records.sequence_length, or a last phase of "
            f"that length), or fine-tune {name} on {length}: it reads positions that were never "
            "trained.",
            reason=f"Pretraining had at most {length} tokens; "
            f"{format_count(number, 'training sequence')} of {name} "
            f"{'is' if number == 1 else 'are'} longer.",
            setting=f"--finetuning.sequence_length {length}",
        )


def _on_truncated_examples(steps: Sequence[StepSummary]) -> Iterator[Advice]:
    """Yield advice for each task of which more than a tenth of the training examples lost tokens.

    None for those with sequences beyond pretraining's, which have advice to be shorter, nor for
    fine-tunings from random weights.
    """
    for step in steps:
        number, num_train = step.metrics.get(NUM_TRUNCATED, 0), step.metrics.get("num_train", 0)
        is_baseline = step.config.get("initialization") == "random"
        is_beyond = "num_beyond_pretraining" in step.metrics
        if is_baseline or is_beyond or number <= _MANY_TRUNCATED * num_train:
            continue
        name, length = step.config["task"], step.metrics[LENGTH_FOR_MOST]
        settings = step.config["finetuning"]
        yield Advice(
            action=f"Pretrain and fine-tune {name} on longer sequences: many of its examples lose "
            "tokens.",
            reason=f"{number:,} of {format_count(num_train, 'training example')} are longer than "
            f"finetuning.sequence_length, {settings['sequence_length']}, or their choices than "
            f"finetuning.max_choice_length; 95 % of all would fit into {length:,} tokens.",
        )


def _twice_the_epochs(steps: Sequence[StepSummary], tasks: Sequence[str]) -> str:
    """Return the option of the command line for twice the epochs that some tasks were trained for.

    An example is `--finetuning.num_epochs 6`. If the tasks were fine-tuned for different numbers of
    epochs, the largest is doubled. Empty if no number is known.

    Args:
        steps: Steps of the run, of which those that fine-tuned are read.
        tasks: Names of the tasks.
    """
    passes = [
        step.config.get("finetuning", {}).get("num_epochs")
        for step in steps
        if step.name.split()[0] == "finetune" and step.config.get("task") in tasks
    ]
    known = [number for number in passes if number]
    return f"--finetuning.num_epochs {2 * max(known):g}" if known else ""


def _scores(task: TaskSummary) -> list[float]:
    """Return the finite dev scores of a task's fine-tuning in their order."""
    values = [row.get(task.metric) for row in task.history]
    return [value for value in values if value is not None and math.isfinite(value)]


def _is_rising(task: TaskSummary) -> bool:
    """Return whether the last dev score is the best by more than a point; False below two."""
    scores = _scores(task)
    return len(scores) > 1 and scores[-1] > max(scores[:-1]) + 0.01


def _is_falling(task: TaskSummary) -> bool:
    """Return whether the first dev score is the best by more than a point; False below two."""
    scores = _scores(task)
    return len(scores) > 1 and scores[0] > max(scores[1:]) + 0.01


def _half_width(task: TaskSummary) -> float:
    """Return half of the width of a score's interval; 0 if it is not known."""
    return (task.interval[1] - task.interval[0]) / 2 if task.interval else 0.0


def _on_baselines(tasks: Sequence[TaskSummary]) -> Iterator[Advice]:
    """Yield advice on tasks that need no model yet, and on those without random weights' score.

    A task needs none where TF-IDF, or each word's most frequent tag, is better by more than chance.
    """
    beaten = [
        task
        for task in tasks
        if any(
            difference.baseline == "without_model" and difference.sign < 0
            for difference in task.differences
        )
    ]
    tagging = [task.name for task in beaten if task.kind == "token_classification"]
    ways = {
        "TF-IDF with a linear model": [task.name for task in beaten if task.name not in tagging],
        "each word's most frequent tag": tagging,
    }
    for way, names in ways.items():
        if not names:
            continue
        yield Advice(
            action=f"Until then, take {way} for {', '.join(names)}.",
            reason="It scores better than this model by more than chance, and costs next to "
            "nothing.",
        )
    missing = [task.name for task in tasks if task.random_weights_score is None]
    if missing:
        yield Advice(
            action=f"Fine-tune {', '.join(missing)} from random weights, too.",
            reason="Only the same head on random weights tells what pretraining itself brought.",
            setting="--random_weights_baseline true",
        )
