"""Rows of docs/leaderboard.json: read, compared, and rendered as the tables of the page."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from albert_core.errors import InputError
from albert_core.settings import parse_settings

ROOT = Path(__file__).resolve().parents[2]
ROWS_PATH = ROOT / "docs" / "leaderboard.json"
PAGE_PATH = ROOT / "docs" / "leaderboard.md"
BEGIN, END = "<!-- made from leaderboard.json -->", "<!-- end -->"
NOTHING = "–"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskFigures:
    """A task's scores in points (0 to 100); None for what was not measured.

    Attributes:
        metric: The task's first metric.
        num_seeds: Fine-tunings with different seeds.
        score: Mean of their dev scores.
        std: Their sample standard deviation; None of a single one.
        random_weights: The same from random weights.
        random_weights_std: Likewise.
        without_model: TF-IDF.
        majority: The most frequent label, or the mean.
        probe: Frozen probe of the pretrained model, its best layer.
        probe_random_weights: That of random weights.
    """

    metric: str
    num_seeds: int = 1
    score: float
    std: float | None = None
    random_weights: float | None = None
    random_weights_std: float | None = None
    without_model: float | None = None
    majority: float | None = None
    probe: float | None = None
    probe_random_weights: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A measured pretraining and what it is worth on tasks.

    Attributes:
        name: Its name, as in `make leaderboard ROW=name`.
        budget: What it may cost; of rows with an equal budget each must beat the one before.
        date: Day of the measurement, as YYYY-MM-DD.
        commit: The commit that was measured, or that recorded the figures.
        command: What was run.
        config: Configuration that repeats it; empty if none in the repository does.
        options: Options of `albert run` beside it.
        needs_demo_data: Whether its text and tasks are those of `albert demo-data`.
        data: The text, in words.
        hardware: What it ran on.
        minutes: Minutes of pretraining.
        flop: Operations of the matrix products of pretraining, by the formula; None if unknown.
        price: Price of pretraining, with its currency; empty if unknown.
        masked_lm: Held-out masked LM accuracy over all predicted positions, in points.
        mask_token: That of the positions that show [MASK] alone.
        masks: Which masks these accuracies are of.
        sentence_order: Held-out accuracy of sentence order, in points.
        tasks: The figures of each task.
        source: Where the figures are told.
    """

    name: str
    budget: str
    date: str
    commit: str
    command: str
    config: str = ""
    options: tuple[str, ...] = ()
    needs_demo_data: bool = False
    data: str
    hardware: str
    minutes: float
    flop: float | None = None
    price: str = ""
    masked_lm: float | None = None
    mask_token: float | None = None
    masks: str = ""
    sentence_order: float | None = None
    tasks: Mapping[str, TaskFigures] = dataclasses.field(default_factory=dict)
    source: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Published:
    """A figure of the literature: a model, what its pretraining cost, and its score on GLUE."""

    model: str
    flop: float
    glue: float
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """All rows, the oldest first, and the literature."""

    rows: tuple[Row, ...]
    literature: tuple[Published, ...]

    def row(self, name: str) -> Row:
        """Return a row by its name.

        Raises:
            InputError: There is none.
        """
        rows = {row.name: row for row in self.rows}
        if name not in rows:
            raise InputError(f"ROW: got {name!r}, expected one of {', '.join(rows)}")
        return rows[name]


def read_leaderboard(path: Path = ROWS_PATH) -> Leaderboard:
    """Read and check a leaderboard.

    Raises:
        InputError: A name, a type or a value is wrong.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    return Leaderboard(
        rows=tuple(parse_row(one) for one in values["rows"]),
        literature=tuple(
            parse_settings(Published, one, source=f"{path.name}: literature")
            for one in values["literature"]
        ),
    )


def parse_row(values: Mapping[str, Any]) -> Row:
    """Return a row from its plain values.

    Raises:
        InputError: A name, a type or a value is wrong.
    """
    name = values.get("name", "")
    tasks = {
        task: parse_settings(TaskFigures, figures, source=f"row {name}: {task}")
        for task, figures in values.get("tasks", {}).items()
    }
    others = {key: value for key, value in values.items() if key != "tasks"}
    return dataclasses.replace(parse_settings(Row, others, source=f"row {name}"), tasks=tasks)


def compare_rows(stored: Row, measured: Row) -> Iterator[tuple[str, float | None, float | None]]:
    """Yield the name of each figure that either row has, with its value in both.

    Raises:
        InputError: A task's scores are of different metrics.
    """
    for name in ("minutes", "flop", "masked_lm", "mask_token", "sentence_order"):
        yield name, getattr(stored, name), getattr(measured, name)
    for task in dict.fromkeys((*stored.tasks, *measured.tasks)):
        of_task = [
            dataclasses.asdict(r.tasks[task]) if task in r.tasks else {} for r in (stored, measured)
        ]
        metrics = {values.pop("metric") for values in of_task if values}
        if len(metrics) > 1:
            raise InputError(
                f"row {measured.name}: {task}: got scores by {' and '.join(sorted(metrics))}, "
                "expected one metric; give the row another name"
            )
        for name in dict.fromkeys(name for values in of_task for name in values):
            first, second = (values.get(name) for values in of_task)
            if first is not None or second is not None:
                yield f"{task} {name}", first, second


def find_beaten_rows(rows: Sequence[Row]) -> list[str]:
    """Return the names of the rows that do not beat the last row of an equal budget before them.

    A row beats another by the mean of the scores on the tasks that both have; without such a task
    it does not.
    """
    beaten = []
    latest: dict[str, Row] = {}
    for row in rows:
        if before := latest.get(row.budget):
            common = row.tasks.keys() & before.tasks.keys()
            if sum(row.tasks[task].score - before.tasks[task].score for task in common) <= 0:
                beaten.append(row.name)
        latest[row.budget] = row
    return beaten


def render(board: Leaderboard) -> str:
    """Return the tables of docs/leaderboard.md: runs, tasks, literature, commands."""
    parts = [
        "## Runs",
        _table(
            (
                "run",
                "budget",
                "date",
                "commit",
                "hardware",
                "minutes",
                "FLOP",
                "price",
                "MLM",
                "[MASK]",
                "sentence order",
            ),
            [_run_cells(row) for row in board.rows],
        ),
        "## Tasks",
        _table(
            (
                "run",
                "task",
                "metric",
                "seeds",
                "score",
                "random weights",
                "TF-IDF",
                "majority",
                "frozen probe",
                "its random weights",
            ),
            [_task_cells(row, task) for row in board.rows for task in row.tasks],
        ),
        "## The literature",
        _table(
            ("model", "FLOP of pretraining", "GLUE, dev", "source"),
            [
                (one.model, f"{one.flop:.1e}", f"{one.glue:.1f}", one.source)
                for one in board.literature
            ],
        ),
        "## Commands and masks",
        "\n".join(_description(row) for row in board.rows),
    ]
    return "\n\n".join(parts)


def _run_cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        row.budget,
        row.date,
        row.commit,
        row.hardware,
        f"{row.minutes:g}",
        NOTHING if row.flop is None else f"{row.flop:.1e}",
        row.price or NOTHING,
        *(_number(value) for value in (row.masked_lm, row.mask_token, row.sentence_order)),
    )


def _task_cells(row: Row, task: str) -> tuple[str, ...]:
    one = row.tasks[task]
    return (
        row.name,
        task,
        one.metric.replace("_", " "),
        str(one.num_seeds),
        _number(one.score, one.std),
        _number(one.random_weights, one.random_weights_std),
        *(
            _number(v)
            for v in (one.without_model, one.majority, one.probe, one.probe_random_weights)
        ),
    )


def _number(value: float | None, std: float | None = None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.1f}" + ("" if std is None else f" ± {std:.1f}")


def _description(row: Row) -> str:
    """Return a line of a list: what was run on which text, the masks, and where it is told."""
    command, repeat = row.command, ""
    if row.config:
        command, repeat = f"`{command}`", f"; again: `make leaderboard ROW={row.name}`"
    masks = f" Masks: {row.masks}." if row.masks else ""
    source = f" From {row.source}." if row.source else ""
    return f"- **{row.name}**: {command}{repeat}. {row.data}.{masks}{source}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def rendered_page(page: str, board: Leaderboard) -> str:
    """Return the text of docs/leaderboard.md with its tables made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{render(board)}\n\n{END}{after}"
