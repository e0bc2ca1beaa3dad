"""Scores of small models on many tasks, with three seeds each, beside what needs no model.

    python tests/benchmarks/tasks.py --data DATA --english MODEL --chinese MODEL --output FOLDER

DATA holds `glue`, `race`, `clue` and `squad` as they are published; MODEL is an output of
`albert pretrain`. Settings are those of pipeline/configs/small.yaml. Two trainings run at a time,
each on one core. Run again, only what is missing is trained. Where SQuAD's training files are not
at hand, stand-ins may take their names.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NUM_SEEDS = 3
AT_ONCE = 2
ENGLISH = ("cola", "sst-2", "mrpc", "sts-b", "rte", "wnli", "race-middle", "squad1", "squad2")
CHINESE = ("tnews", "ocnli")
ALSO_FROM_RANDOM_WEIGHTS = ("sst-2", "sts-b")


@dataclasses.dataclass(frozen=True)
class Job:
    """A fine-tuning: a task, the model it starts from, and whether its weights are used."""

    task: str
    model: str
    initialization: str = "pretrained"

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.task}-{self.initialization}"


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--english", required=True)
    parser.add_argument("--chinese")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    jobs = [Job(task, arguments.english) for task in ENGLISH]
    jobs += [Job(task, arguments.english, "random") for task in ALSO_FROM_RANDOM_WEIGHTS]
    if arguments.chinese:
        jobs += [Job(task, arguments.chinese) for task in CHINESE]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda job: train(job, arguments.data, Path(arguments.output)), jobs))
    print_table(jobs, Path(arguments.output))


def train(job: Job, data: str, output: Path) -> None:
    """Fine-tune with all seeds, unless it is done."""
    command = [
        *(str(Path(sys.executable).with_name("albert")), "finetune"),
        *("--config", str(ROOT / "pipeline" / "configs" / "small.yaml")),
        *("--task", job.task, "--data_dir", data, "--pretrained_dir", job.model),
        *("--initialization", job.initialization, "--output", str(output / job.name)),
        *("--finetuning.num_seeds", str(NUM_SEEDS), "--finetuning.precision", "bfloat16"),
    ]
    output.mkdir(parents=True, exist_ok=True)
    with (output / f"{job.name}.log").open("w") as log:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_NUM_INTRAOP_THREADS": "1"}
        subprocess.run(command, stdout=log, stderr=log, check=True, env=environment)


def print_table(jobs: list[Job], output: Path) -> None:
    """Print a row a task: mean and deviation in percent, from both initialisations."""
    figures = {
        job: json.loads((output / job.name / "manifest.json").read_text())["figures"]
        for job in jobs
    }
    random = {job.task: values for job, values in figures.items() if job.initialization == "random"}
    print("| task | metric | pretrained | random weights | without a model | train | dev |")
    print("|---|---|---|---|---|---|---|")
    for job, values in figures.items():
        if job.initialization == "random":
            continue
        metric = first_metric(output / job.name)
        cells = [
            job.task,
            metric,
            spread(values, metric),
            spread(random[job.task], metric) if job.task in random else "",
            f"{100 * values['majority_score']:.1f}",
            f"{values['num_train']:,}",
            f"{values['num_dev']:,}",
        ]
        print(f"| {' | '.join(cells)} |")


def first_metric(folder: Path) -> str:
    """Return the metric that a fine-tuned model's task is judged by."""
    return json.loads((folder / "task.json").read_text())["metrics"][0]


def spread(figures: dict[str, Any], metric: str) -> str:
    """Return mean and deviation over the seeds."""
    return f"{100 * figures[f'{metric}_mean']:.1f} ± {100 * figures[f'{metric}_std']:.1f}"


if __name__ == "__main__":
    main()
