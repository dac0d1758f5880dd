"""Tasks: the data, the loss, the metrics and the head a network needs to answer them.

A task is everything the engine must know about *what* is learned; the engine has no word for accuracy. Selection uses
``train`` and ``validation`` only; ``test`` is read when a network is exported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from nas.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.utils.data import Dataset

    from nas.tasks.images import Normalisation

Direction = Literal["maximize", "minimize"]
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Metric:
    """One number a task scores predictions by.

    Attributes:
        proportion: it is the share of examples that are right, so that its interval is known from their number.
    """

    name: str
    direction: Direction
    proportion: bool = False


@dataclass(frozen=True)
class DataSummary:
    """What a task's data are, to be looked at before anything is spent.

    Attributes:
        classes: names of the classes.
        counts: split → examples of each class.
        sizes: width and height of the ``smallest``, ``median`` and ``largest`` image as stored; empty if all are alike.
        skipped: files that are not used, and why.
        notes: what else to know, a sentence each.
    """

    classes: tuple[str, ...]
    counts: Mapping[Split, Sequence[int]]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values, the counts by class."""
        counts = {split: dict(zip(self.classes, found, strict=True)) for split, found in self.counts.items()}
        return asdict(self) | {"counts": counts}


class Task(ABC):
    """What is learned, from which data, and how an answer is scored.

    A task is built from the plan's parameters alone (keyword arguments, JSON values), in every process again. The
    constructor validates its parameters and that the data is there; it reads the data itself only when asked.

    Raises:
        TaskError: the data is missing or a parameter is out of range; the message says what to put where.
    """

    #: Parameters that are paths. In a plan they are relative to the plan's folder, and arrive here absolute.
    paths: ClassVar[tuple[str, ...]] = ()
    #: Shape of one deployed input, without the batch: ``(C, H, W)``.
    input_shape: tuple[int, int, int]
    #: What ``score`` returns, the metric studies use by default first.
    metrics: tuple[Metric, ...]
    #: Channels of the answer: classes, say.
    num_outputs: int
    #: What is done to pixels scaled to 0 … 1 before they are an input; None where that is something else.
    normalisation: Normalisation | None = None

    @abstractmethod
    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """Map-style data set of ``(input (C, H, W) float32 as deployed, target)``.

        ``augment`` asks for the training-time augmentation the task was configured with.
        """

    @abstractmethod
    def head(self, num_features: int, reduction: int, *, pool: str = "avg", dropout: float = 0.0) -> nn.Module:
        """Module from a feature map ``(N, num_features, H / reduction, W / reduction)`` to the task's answer.

        ``pool`` (``"avg"`` or ``"max"``) is how a head that pools does so.
        """

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """Scalar training loss; ``targets`` may be the soft targets ``(N, num_outputs)`` of mixup."""

    @abstractmethod
    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Mapping[str, float]:
        """The task's metrics, of all outputs of a split at once (numpy, so that a deployed file can be scored)."""

    def score_resampled(self, outputs: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        """``score`` of R samples of the examples, ``(R,)`` each; ``counts`` ``(R, M)`` says how often each one counts.

        A task whose metrics follow from sums over examples can tell much faster than by scoring each sample.
        """
        drawn = (np.repeat(np.arange(len(row)), row) for row in counts)
        rows = [self.score(outputs[index], targets[index]) for index in drawn]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of the data's content and split, equal on every machine with the same data."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the outputs in their order; empty where they have none."""
        return ()

    @property
    def class_metrics(self) -> tuple[Metric, ...]:
        """Scores of single classes, which are stored beside ``metrics``; none by default."""
        return ()

    def preprocessing(self) -> dict[str, Any]:
        """What turns a picture into an input, as JSON values for whoever runs an exported network.

        Keys are ``mean`` and ``std``; a task that resizes images adds ``resize``, which says how in words.
        """
        if self.normalisation is None:
            return {}
        return {"mean": list(self.normalisation.mean), "std": list(self.normalisation.std)}

    def summary(self) -> DataSummary | None:
        """What the data are, class by class; None of a task that can't tell."""
        return None

    @property
    def supports_mixup(self) -> bool:
        """Whether targets are class indices that can be mixed."""
        return False


TASKS: Registry[type[Task]] = Registry(
    "tasks",
    {
        "digits": "nas.tasks.digits:Digits",
        "shapes": "nas.tasks.shapes:Shapes",
        "shapes_segmentation": "nas.tasks.shapes:ShapesSegmentation",
        "cifar10": "nas.tasks.cifar:Cifar10",
        "cifar100": "nas.tasks.cifar:Cifar100",
        "image_folder": "nas.tasks.image_folder:ImageFolder",
    },
    subclasses_of=Task,
)


def make_task(name: str, **parameters: Any) -> Task:
    """The task called ``name``, with its parameters."""
    return TASKS.get(name)(**parameters)
