"""SQuAD and RACE, in the layouts they are published in.

Source of recipes and scores in percent: the README of the original.
"""

from albert_core.tasks.recipe import Recipe
from albert_core.tasks.source import Source
from albert_core.tasks.task import Task

# The last but one is where a copy of Hugging Face's data set has its files.
SQUAD_FOLDERS = {
    "squad1": ("squad", "SQuAD", "squad/plain_text", "."),
    "squad2": ("squad", "SQuAD", "squad_v2", "squad_v2/squad_v2", "."),
}
# Where only files by their published names count: Parquet of SQuAD 1.1, as a copy of the data set
# `squad` has it, is named as that of 2.0.
FOLDERS_OF_PUBLISHED_FILES = {"squad2": ("squad", "SQuAD")}
RACE_FOLDERS = ("race", "RACE", ".")

_SQUAD_RECIPE = Recipe(
    learning_rate=5e-5,
    batch_size=48,
    num_epochs=2.0,
    warmup_ratio=0.1,
    sequence_length=384,
    evaluation_interval_steps=5000,
    source="README, run_squad_v1",
)
_RACE_RECIPE = Recipe(
    learning_rate=1e-5,
    batch_size=32,
    num_train_steps=12000,
    num_warmup_steps=1000,
    sequence_length=512,
    evaluation_interval_steps=100,
    source="README, run_race",
)

SQUAD_TASKS = (
    Task(
        name="squad1",
        kind="question_answering",
        train=(Source(file="train-v1.1.json"),),
        dev=(Source(file="dev-v1.1.json"),),
        metrics=("f1", "exact"),
        recipe=_SQUAD_RECIPE,
        paper_scores={
            "BERT-large": 90.9,
            "XLNet-large": 94.5,
            "RoBERTa-large": 94.6,
            "ALBERT-xxlarge (1.5M steps)": 94.8,
            "ALBERT-base v2": 90.2,
        },
    ),
    Task(
        name="squad2",
        kind="question_answering",
        train=(Source(file="train-v2.0.json"),),
        dev=(Source(file="dev-v2.0.json"),),
        metrics=("f1", "exact"),
        has_unanswerable=True,
        recipe=_SQUAD_RECIPE,
        paper_scores={
            "BERT-large": 81.8,
            "XLNet-large": 88.8,
            "RoBERTa-large": 89.4,
            "ALBERT-xxlarge (1.5M steps)": 90.2,
            "ALBERT-base v2": 82.1,
        },
    ),
)


def _race(name: str, *levels: str, paper_scores: dict[str, float]) -> Task:
    """Return the task of RACE's questions of some levels, which are folders of files."""

    def files(split: str) -> tuple[Source, ...]:
        """Return a source for each level; those of the test split may be missing."""
        return tuple(
            Source(
                file=f"{split}/{level}/*.txt",
                name=level,
                format="race",
                is_optional=split == "test",
            )
            for level in levels
        )

    return Task(
        name=name,
        kind="multiple_choice",
        train=files("train"),
        dev=files("dev"),
        test=files("test"),
        metrics=("accuracy",),
        recipe=_RACE_RECIPE,
        paper_scores=paper_scores,
    )


RACE_TASKS = (
    _race(
        "race",
        "middle",
        "high",
        paper_scores={
            "BERT-large": 72.0,
            "XLNet-large": 81.8,
            "RoBERTa-large": 83.2,
            "ALBERT-xxlarge (1.5M steps)": 86.5,
            "ALBERT-base v2": 66.8,
        },
    ),
    _race(
        "race-middle",
        "middle",
        paper_scores={
            "BERT-large": 76.6,
            "XLNet-large": 85.5,
            "RoBERTa-large": 86.5,
            "ALBERT-xxlarge (1.5M steps)": 89.0,
        },
    ),
    _race(
        "race-high",
        "high",
        paper_scores={
            "BERT-large": 70.1,
            "XLNet-large": 80.2,
            "RoBERTa-large": 81.3,
            "ALBERT-xxlarge (1.5M steps)": 85.5,
        },
    ),
)
