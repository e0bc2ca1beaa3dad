"""Adds tasks to the pipeline that is being built: one by one, and the groups that all runs have."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from kfp import dsl

from components.evaluate.component import evaluate
from components.finetune.component import finetune
from components.run_summary.component import summarise_run
from pipeline.platform_config import Component, PlatformConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskModels:
    """The fine-tuned models of all tasks and their evaluations, as inputs of later steps.

    kfp changes a `dsl.Collected` that it is given, so every use gets one of its own.

    Attributes:
        finetune_task: Fine-tunes the model of each job.
        evaluate_task: Evaluates it.
    """

    finetune_task: dsl.PipelineTask
    evaluate_task: dsl.PipelineTask

    @property
    def finetuned(self) -> dsl.Collected:
        """The models of all jobs."""
        return dsl.Collected(self.finetune_task.outputs["finetuned"])

    @property
    def evaluations(self) -> dsl.Collected:
        """Their evaluations, in the same order."""
        return dsl.Collected(self.evaluate_task.outputs["evaluation"])


@dataclasses.dataclass(frozen=True, kw_only=True)
class DagBuilder:
    """Adds tasks to the pipeline that is being built, each configured for the platform.

    Attributes:
        platform: Makes and configures the task of each step.
        work_root: The pipeline's parameter of that name, which every step gets.
    """

    platform: PlatformConfig
    work_root: Any

    def add(self, step: str, component: Component, /, **inputs: Any) -> dsl.PipelineTask:
        """Add the task of a step.

        Args:
            step: Name of the step in `components.steps.STEPS`.
            component: Its component.
            **inputs: Inputs of the component but `work_root`.
        """
        return self.platform.add_task(step, component, work_root=self.work_root, **inputs)

    def finetune_and_evaluate(self, jobs: Any, pretrained: Any) -> TaskModels:
        """Add fine-tuning and evaluation for each job; return what comes of them.

        Args:
            jobs: The pipeline's parameter of that name.
            pretrained: The output that has the model to start from.
        """
        parallelism = self.platform.parallel_tasks
        with dsl.ParallelFor(items=jobs, parallelism=parallelism, name="tasks") as job:
            finetune_task = self.add("finetune", finetune, job=job, pretrained=pretrained)
            evaluate_task = self.add(
                "evaluate", evaluate, job=job, finetuned=finetune_task.outputs["finetuned"]
            )
        return TaskModels(finetune_task=finetune_task, evaluate_task=evaluate_task)

    @contextlib.contextmanager
    def ending_with_summary(
        self, optional_steps: Sequence[str], *, title: Any, records: Any, jobs: Any
    ) -> Iterator[None]:
        """Let the tasks made in this context be followed by that of the summary, however they end.

        The platform may have them followed by a notification, too. Without a summary among the
        optional steps this does nothing.

        Args:
            optional_steps: Names of the optional steps that the pipeline has.
            title: The pipeline's parameter of that name.
            records: Likewise; an empty list for a pipeline that makes none.
            jobs: The pipeline's parameter of that name.
        """
        if "summary" not in optional_steps:
            yield
            return
        summary_task = self.add(
            "summary",
            summarise_run,
            title=title,
            records=records,
            jobs=jobs,
            optional_steps=list(optional_steps),
            run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        )
        with dsl.ExitHandler(summary_task, name="steps") as steps:
            yield
        self.platform.notify(steps)
