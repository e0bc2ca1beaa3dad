"""The tasks of GLUE, in the layout GLUE ships them.

Source of columns and labels: classifier_utils.py of the original; of recipes: its run_glue.sh; of
the scores in percent: the tables of its README.
"""

import functools

from albert_core.tasks.recipe import Recipe
from albert_core.tasks.source import Column, Source
from albert_core.tasks.task import Task

GLUE_FOLDERS = {
    "cola": "CoLA",
    "sst-2": "SST-2",
    "mrpc": "MRPC",
    "sts-b": "STS-B",
    "qqp": "QQP",
    "mnli": "MNLI",
    "qnli": "QNLI",
    "rte": "RTE",
    "wnli": "WNLI",
}
_ENTAILMENT = ("entailment", "not_entailment")
_PAPER_MODELS = ("BERT-large", "XLNet-large", "RoBERTa-large", "ALBERT-xxlarge (1.5M steps)")


def _recipe(
    rate: float, batch_size: int, steps: int, warmup: int, *, interval: int, source: str
) -> Recipe:
    """Return a recipe of the original; the sequence length is 512 for all tasks."""
    return Recipe(
        learning_rate=rate,
        batch_size=batch_size,
        num_train_steps=steps,
        num_warmup_steps=warmup,
        sequence_length=512,
        evaluation_interval_steps=interval,
        source=source,
    )


_run_glue = functools.partial(_recipe, source="run_glue.sh")


def _test(
    *texts: Column,
    submission: str,
    file: str = "test.tsv",
    name: str = "",
    id: Column = 0,
) -> Source:
    """Return a test file without labels, which may be missing; predictions go to GLUE's site."""
    return Source(
        file=file,
        name=name,
        texts=texts,
        id=id,
        is_labelled=False,
        is_optional=True,
        submission=submission,
    )


def _scores(*scores: float, **others: float) -> dict[str, float]:
    """Return published scores by model: those of `_PAPER_MODELS`, in order, and others by name."""
    return dict(zip(_PAPER_MODELS, scores, strict=True)) | others


GLUE_TASKS = (
    Task(
        name="cola",
        train=(Source(file="train.tsv", has_header=False),),
        dev=(Source(file="dev.tsv", has_header=False),),
        test=(_test(1, submission="CoLA.tsv"),),
        texts=(3,),
        label=1,
        labels=("0", "1"),
        metrics=("matthews_correlation", "accuracy"),
        recipe=_run_glue(1e-5, 16, 5336, 320, interval=100),
        paper_scores=_scores(60.6, 63.6, 68.0, 71.4),
    ),
    Task(
        name="sst-2",
        test=(_test(1, submission="SST-2.tsv"),),
        texts=(0,),
        label=1,
        labels=("0", "1"),
        metrics=("accuracy",),
        recipe=_run_glue(1e-5, 32, 20935, 1256, interval=100),
        paper_scores=_scores(93.2, 95.6, 96.4, 96.9, **{"ALBERT-base v2": 92.9}),
    ),
    Task(
        name="mrpc",
        test=(_test(3, 4, submission="MRPC.tsv"),),
        texts=(3, 4),
        label=0,
        labels=("0", "1"),
        metrics=("accuracy", "f1"),
        combined=("accuracy", "f1"),
        recipe=_run_glue(2e-5, 32, 800, 200, interval=100),
        paper_scores=_scores(88.0, 89.2, 90.9, 90.9),
    ),
    Task(
        name="sts-b",
        kind="regression",
        test=(_test(7, 8, submission="STS-B.tsv"),),
        texts=(7, 8),
        label=-1,
        metrics=("pearson", "spearman"),
        combined=("pearson", "spearman"),
        recipe=_run_glue(2e-5, 16, 3598, 214, interval=100),
        paper_scores=_scores(90.0, 91.8, 92.4, 93.0),
    ),
    Task(
        name="qqp",
        test=(_test(1, 2, submission="QQP.tsv"),),
        texts=(3, 4),
        label=5,
        labels=("0", "1"),
        metrics=("accuracy", "f1"),
        combined=("accuracy", "f1"),
        bad_rows="leave_out",  # GLUE's own file has a few that are cut short or empty
        recipe=_run_glue(5e-5, 128, 14000, 1000, interval=100),
        paper_scores=_scores(91.3, 91.8, 92.2, 92.2),
    ),
    Task(
        name="mnli",
        dev=(
            Source(file="dev_matched.tsv", name="matched"),
            Source(file="dev_mismatched.tsv", name="mismatched", is_optional=True),
        ),
        test=(
            _test(8, 9, file="test_matched.tsv", name="matched", submission="MNLI-m.tsv"),
            _test(8, 9, file="test_mismatched.tsv", name="mismatched", submission="MNLI-mm.tsv"),
            _test(1, 2, file="../diagnostic/diagnostic.tsv", name="ax", submission="AX.tsv"),
        ),
        texts=(8, 9),
        label=-1,
        labels=("contradiction", "entailment", "neutral"),
        metrics=("accuracy",),
        averages_sources=True,
        recipe=_run_glue(3e-5, 128, 10000, 1000, interval=100),
        paper_scores=_scores(86.6, 89.8, 90.2, 90.8, **{"ALBERT-base v2": 84.6}),
    ),
    Task(
        name="qnli",
        test=(_test(1, 2, submission="QNLI.tsv"),),
        texts=(1, 2),
        label=-1,
        labels=_ENTAILMENT,
        metrics=("accuracy",),
        recipe=_run_glue(1e-5, 32, 33112, 1986, interval=200),
        paper_scores=_scores(92.3, 93.9, 94.7, 95.3),
    ),
    Task(
        name="rte",
        test=(_test(1, 2, submission="RTE.tsv"),),
        texts=(1, 2),
        label=-1,
        labels=_ENTAILMENT,
        metrics=("accuracy",),
        recipe=_run_glue(3e-5, 32, 800, 200, interval=100),
        paper_scores=_scores(70.4, 83.8, 86.6, 89.2),
    ),
    Task(
        name="wnli",
        test=(_test(1, 2, submission="WNLI.tsv"),),
        texts=(1, 2),
        label=-1,
        labels=("0", "1"),
        metrics=("accuracy",),
        # run_glue.sh leaves it out; these are the defaults of the script that it calls.
        recipe=_recipe(5e-5, 32, 1000, 0, interval=1000, source="run_classifier's defaults"),
    ),
)
