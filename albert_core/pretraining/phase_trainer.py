"""Train a pretraining's phases one after the other, each on its own batches and layers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from albert_core.model.pretraining import PretrainingModel
from albert_core.pretraining.config import PretrainingConfig
from albert_core.pretraining.dataset import PretrainingData
from albert_core.pretraining.effective_rank import measure_effective_ranks
from albert_core.pretraining.held_out import HeldOutModel, evaluate_held_out
from albert_core.pretraining.phases import Phase
from albert_core.pretraining.speed import SpeedMeter
from albert_core.progress import ReportProgress
from albert_core.tracking.step import TrackRow
from albert_core.training.devices import Devices
from albert_core.training.loop import train
from albert_core.training.state import TrainingState


class PhaseTrainer:
    """Trains and evaluates a model in the phase that a step belongs to.

    Args:
        model: Compiled.
        data: The records of each phase.
        phases: Phases of `config`, resolved.
        config: How to train, with the precision and the compilation that were chosen.
        devices: The devices that train.

    Raises:
        InputError: A batch cannot be divided evenly, or too few records are held out.
    """

    def __init__(
        self,
        model: PretrainingModel,
        data: Sequence[PretrainingData],
        phases: Sequence[Phase],
        config: PretrainingConfig,
        devices: Devices,
    ) -> None:
        """Make the plan, and the held-out batches of each phase; nothing is trained yet."""
        self.model, self.data, self.phases = model, data, phases
        self.config, self.devices = config, devices
        self.plan = config.plan(phases)
        self._num_micro_batches = [
            phase.num_micro_batches(devices.num_data_parallel) for phase in phases
        ]
        # Evaluated in micro-batches too: whatever fits into memory for training fits here.
        self._held_out = [
            records.held_out_batches(
                phase.batch_size // num_micro_batches, multiple_of=devices.num_data_parallel
            )
            for records, phase, num_micro_batches in zip(
                data, phases, self._num_micro_batches, strict=True
            )
        ]
        self._depths = [phase.architecture(model.config).num_hidden_layers for phase in phases]
        # One for each phase: a compiled evaluation keeps the number of layers it was compiled with.
        self._held_out_models = [HeldOutModel(model, records.special_ids.mask) for records in data]

    def run(
        self, *, checkpoints: Path, work: str, progress: ReportProgress, track: TrackRow
    ) -> TrainingState:
        """Train all phases, from the newest checkpoint if there is one; return the final state.

        The last row of its history also has the effective ranks, unless several processes train.

        Args:
            checkpoints: Folder of checkpoints, best weights and log.
            work: What is trained.
            progress: Called with the progress of the work.
            track: Called with each row of the log and of the evaluations.

        Raises:
            InputError: The newest checkpoint does not fit the model, or the minutes are too few for
                the warm-up.
            StepFailedError: Training was interrupted or diverged, or a checkpoint cannot be
                written.
        """
        speed = SpeedMeter(
            self.model.config, self.config, self.data, self.phases, self.plan, self.devices
        )
        state = train(
            self.model,
            batches_from=self.batches_from,
            evaluate=self.evaluate,
            plan=self.plan,
            folder=checkpoints,
            work=work,
            progress=progress,
            safeguards=self.config.safeguards,
            measure_speed=speed,
            compute=self.config.compute,
            track=track,
            is_chief=self.devices.is_chief,
        )
        # Once, as it costs as much as an evaluation; the outputs of several processes are on
        # several machines.
        if self.devices.num_processes == 1:
            state.history[-1].update(self._measure_effective_ranks(state.step))
        return state

    def batches_from(self, step: int) -> Any:
        """Return the batches of the phase that training is in after `step` steps, from there on.

        Sets the model's micro-batches and layers, and has its step compiled again, for this phase.
        """
        index = self.plan.phase_of(step)
        phase = self.phases[index]
        self.model.set_depth(self._depths[index])
        self.model.num_micro_batches = self._num_micro_batches[index]
        # The numbers of layers and micro-batches are compiled into the step. Besides, TensorFlow
        # would trace one step for the shapes of all phases, which is slower.
        self.model.make_train_function(force=True)
        first_step = step - self.plan.phase_begin(index)
        return self.data[index].train_batches(phase.batch_size, start_step=first_step)

    def evaluate(self, step: int) -> dict[str, Any]:
        """Return the held-out metrics after a step, on the records of its phase, and their masking.

        Gives the model the number of layers of that phase. Where the weights are averaged, the
        averages are evaluated, and the weights are put back, also after an error.

        Raises:
            SignalError: A signal came meanwhile; the evaluation is left unfinished.
        """
        index = self.plan.phase_of_last_step(step)
        self.model.set_depth(self._depths[index])
        masking = self.data[index].masking_of_batches
        described = {"masking": masking.describe()} if masking else {}
        with self.model.optimizer.averages_in_place():
            metrics = evaluate_held_out(self._held_out_models[index], self._held_out[index])
        return {**metrics, **described}

    def _measure_effective_ranks(self, step: int) -> dict[str, float]:
        """Return the effective ranks of the outputs after a step, with the layers of its phase."""
        index = self.plan.phase_of_last_step(step)
        self.model.set_depth(self._depths[index])
        with self.model.optimizer.averages_in_place():
            return measure_effective_ranks(
                self.model,
                self._held_out[index],
                multiple_of=self.devices.num_data_parallel,
            )
