"""A run of a training: its steps, checkpoints and scoring."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nas.errors import JobError
from nas.estimators import Epoch
from nas.estimators.batches import read_batches, size_of, training_batch_size
from nas.estimators.checkpoint import Position, Saved, load, save
from nas.estimators.data_parallel import Workers
from nas.estimators.memory_format import training_format
from nas.estimators.optimization import Optimization, make_mixup, pick_device
from nas.estimators.predict import outputs
from nas.estimators.randomness import permutation, seeded
from nas.estimators.recipe import Recipe
from nas.estimators.training_mode import enter_training_mode
from nas.seeds import seed_of
from nas.tasks.scoring import scores_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.space import Network
    from nas.tasks import Task

#: Function of network, inputs, targets and label smoothing → loss of the batch, a scalar.
Loss = Callable[["nn.Module", "Tensor", "Tensor", float], "Tensor"]


class Run:
    """Trains one network by one recipe.

    Args:
        recipe: recipe of the training.
        network: network to train; its policies get ``on_step`` and may request restarts of the optimizer.
        task: task that provides data, metrics and, unless ``loss`` is given, the loss.
        seed: seed of everything random.
        folder: folder of checkpoints; None saves nothing.
        loss: loss of a batch.
        depends_on: further values that the training depends on, as JSON values.
        workers: the processes that train the network together, if there are several; the first one saves checkpoints.

    Raises:
        PlanError: the recipe mixes targets that can't be mixed, requires a GPU that does not exist, or has batches that
            can't be divided among the processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: Network,
        task: Task,
        seed: int,
        folder: Path | None,
        *,
        loss: Loss | None = None,
        depends_on: Any = None,
        workers: Workers | None = None,
    ) -> None:
        self.recipe, self.network, self.task, self.seed, self.folder = recipe, network, task, seed, folder
        self.workers = workers
        self.loss = loss or plain_loss(task)
        self.device = pick_device(recipe)
        self.mixup = make_mixup(recipe, task)
        self.data = task.dataset("train", augment=recipe.augment)
        size = size_of(self.data)
        self.batch_size = training_batch_size(size, recipe.batch_size, even=self.mixup is not None)
        if workers is not None:
            workers.check_batch(self.batch_size, even=self.mixup is not None)
        self.steps = size // self.batch_size
        self.format = training_format(
            network.model, self.device, network.input_shape, channels_last=recipe.channels_last
        )
        # Torch's stubs know only the overloads of `to` without a memory format.
        self.model: nn.Module = network.model.to(self.device, memory_format=self.format)  # type: ignore[call-overload]
        #: What the loss is computed with; its gradients are averaged over the workers.
        self.trained = self.model if workers is None else workers.wrapped(self.model)
        self.optimization = Optimization(recipe, self.model, self.steps, self.device)
        self.key = _key(recipe, network, task, seed, depends_on) if folder is not None else ""
        self.total_steps = self.steps * recipe.epochs
        self.restarts = network.restarts(self.total_steps)
        self.epoch, self.batch, self.loss_sum, self.seconds = 0, 0, 0.0, 0.0
        self.curve: tuple[Epoch, ...] = ()

    def epochs(self) -> Iterator[Epoch]:
        """Yield the epochs of the checkpoint, then train and yield the others.

        When the generator ends, is closed or fails, the model is on the CPU in evaluation mode, with averaged weights
        if the recipe averages.
        """
        try:
            self.resume()
            yield from self.curve
            while not self.finished:
                yield self.train_epoch()
        finally:
            self.hand_over()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the metric has stopped improving."""
        return self.epoch >= self.recipe.epochs or self._on_plateau()

    def train_epoch(self) -> Epoch:
        """Train to the end of the epoch, score the network, and save a checkpoint."""
        order = permutation(size_of(self.data), seed_of(self.seed, "order", self.epoch))
        while self.batch < self.steps:
            # Generators are seeded again for every segment; an interruption does not change the segments.
            started = time.monotonic()
            own = () if self.workers is None else (self.workers.rank,)
            with seeded(seed_of(self.seed, "segment", self.epoch, self.batch, *own), self.device):
                self._train_segment(order, min(self.batch + self.recipe.checkpoint_steps, self.steps))
            self.seconds += time.monotonic() - started
            if self.batch < self.steps:
                self._save()
        epoch = self._judge()
        self.curve += (epoch,)
        self.epoch, self.batch, self.loss_sum, self.seconds = self.epoch + 1, 0, 0.0, 0.0
        self._save()
        return epoch

    def resume(self) -> None:
        """Restore the folder's checkpoint, if it has one."""
        saved = load(self.folder, self.key) if self.folder is not None else None
        self._check_agreed(saved)
        if saved is None:
            return
        self.model.load_state_dict(dict(saved.model))
        self.optimization.load(saved.optimizer, saved.average)
        position = saved.position
        self.epoch, self.batch, self.curve = position.epoch, position.batch, position.curve
        self.loss_sum, self.seconds = position.loss_sum, position.seconds

    def _check_agreed(self, saved: Saved | None) -> None:
        """Raise JobError unless all workers continue from the same checkpoint."""
        found = None if saved is None else (saved.position.epoch, saved.position.batch)
        if self.workers is not None and (first := self.workers.first(found)) != found:
            raise JobError(
                f"worker {self.workers.rank} finds another checkpoint in {self.folder} than the first worker "
                f"({found} and {first}, epoch and batch); all workers need the same folder"
            )

    def hand_over(self) -> None:
        """Put the scored weights into ``network.model``, on the CPU, in the contiguous format and evaluation mode."""
        average = self.optimization.average
        if average is not None:
            self.model.load_state_dict(average.module.state_dict())
        self.model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.network.model = self.model.cpu().eval()

    def _train_segment(self, order: Tensor, last: int) -> None:
        enter_training_mode(self.model)
        part, size = order[self.batch * self.batch_size : last * self.batch_size], self.batch_size
        if self.workers is not None:
            part, size = self.workers.share(part, size), size // self.workers.size
        gpu = self.device.type == "cuda"
        losses: list[Tensor] = []
        for inputs, targets in read_batches(self.data, part, size, num_workers=self.recipe.num_workers, pin_memory=gpu):
            losses.append(self._train_step(inputs, targets))
            self.batch += 1
            # Reading a loss waits for the GPU, so it is done rarely there.
            if len(losses) >= (32 if gpu else 1) or self.batch == last:
                self._take(losses)
                losses = []

    def _train_step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Make one optimizer step, and return the loss as a scalar on the device."""
        step = self.epoch * self.steps + self.batch
        inputs = inputs.to(self.device, non_blocking=True)
        targets = targets.to(self.device, non_blocking=True)
        smoothing = self.recipe.label_smoothing
        if self.mixup is not None:
            inputs, targets = self.mixup(inputs, targets)
            smoothing = 0.0
        inputs = inputs.contiguous(memory_format=self.format)
        self._run_policies(step)
        if step in self.restarts:
            self.optimization.restart()
        with self.optimization.precision():
            loss = self.loss(self.trained, inputs, targets, smoothing)
        self.optimization.step(loss, self._scheduled(step))
        return loss.detach()

    def _run_policies(self, step: int) -> None:
        """Run the schedules of the policies, with the same random numbers in all workers."""
        if self.workers is None:
            self.network.on_step(step, self.total_steps)
            return
        with seeded(seed_of(self.seed, "policies", step), self.device):
            self.network.on_step(step, self.total_steps)

    def _scheduled(self, step: int) -> int:
        """The position of a step in the learning-rate schedule, which is completed between two restarts."""
        first = max((start for start in self.restarts if start <= step), default=0)
        last = min((start for start in self.restarts if start > step), default=self.total_steps)
        return (step - first) * self.total_steps // (last - first)

    def _take(self, losses: list[Tensor]) -> None:
        """Add the losses of the last batches to the sum.

        Raises:
            JobError: a loss is not finite.
        """
        found = torch.stack(losses).float()
        values = (found if self.workers is None else self.workers.mean(found)).tolist()
        for offset, value in enumerate(values, self.batch - len(values)):
            if not np.isfinite(value):
                raise JobError(
                    f"the training loss is {value} in epoch {self.epoch}, step {offset} of {self.steps}; "
                    "try a lower learning_rate, or clip_grad"
                )
            self.loss_sum += value

    def _judge(self) -> Epoch:
        started = time.monotonic()
        average = self.optimization.average
        answers, targets = outputs(
            self.model if average is None else average.module,
            self.task.dataset("validation"),
            device=self.device,
            num_workers=self.recipe.num_workers,
            precision=self.optimization.precision(),
        )
        if not np.isfinite(answers).all():
            raise JobError(
                f"the network's outputs on the validation split are not finite after epoch {self.epoch}; "
                "try a lower learning_rate, or clip_grad"
            )
        scores = scores_of(self.task, answers, targets)
        seconds = self.seconds + time.monotonic() - started
        rate = self.optimization.learning_rate
        mean = self.loss_sum / self.steps
        values = {"train_loss": mean, "learning_rate": rate, "seconds": seconds, **scores}
        return Epoch(self.epoch, values if self.workers is None else self.workers.first(values))

    def _on_plateau(self) -> bool:
        patience = self.recipe.patience
        if patience is None or len(self.curve) <= patience:
            return False
        metric = self.task.metrics[0]
        sign = 1 if metric.direction == "maximize" else -1
        values = [sign * epoch.values[metric.name] for epoch in self.curve]
        best = 0
        for number, value in enumerate(values):
            if value > values[best] + self.recipe.min_delta:
                best = number
        return len(values) - 1 - best >= patience

    def _save(self) -> None:
        if self.folder is None or (self.workers is not None and self.workers.rank):
            return
        average = self.optimization.average
        position = Position(self.key, self.epoch, self.batch, self.loss_sum, self.seconds, self.curve)
        save(
            self.folder,
            Saved(
                position,
                self.model.state_dict(),
                None if average is None else average.module.state_dict(),
                self.optimization.state(),
            ),
        )


def steps_of(recipe: Recipe, task: Task) -> int:
    """Number of optimizer steps of a training by a recipe."""
    size = size_of(task.dataset("train", augment=recipe.augment))
    even = recipe.mixup > 0 or recipe.cutmix > 0
    return recipe.epochs * (size // training_batch_size(size, recipe.batch_size, even=even))


def plain_loss(task: Task) -> Loss:
    """The task's loss, as a function of network and batch."""

    def loss(model: nn.Module, inputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        return task.loss(model(inputs), targets, label_smoothing=smoothing)

    return loss


def _key(recipe: Recipe, network: Network, task: Task, seed: int, depends_on: Any) -> str:
    """Hash of everything that a training depends on."""
    # A training that waits at rungs ends at the same weights as one that does not.
    parts = [
        recipe.model_dump(exclude={"halving"}),
        network.architecture.to_json(),
        task.fingerprint(),
        seed,
        depends_on,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
