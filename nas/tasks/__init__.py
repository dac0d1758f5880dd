"""Tasks: the data, the loss, the metrics, and the head that a network needs for them.

A task contains everything about *what* is learned; the rest of the engine does not know what accuracy is. Searches use
only the splits ``train`` and ``validation``; ``test`` is read only when a network is exported.
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
    """One of the numbers by which a task scores outputs.

    Attributes:
        name: name of the metric.
        direction: whether larger or smaller is better.
        proportion: whether it is the share of correct examples, so that its interval follows from their number.
    """

    name: str
    direction: Direction
    proportion: bool = False


@dataclass(frozen=True)
class DataSummary:
    """Summary of a task's data, which users can check before a study starts.

    Attributes:
        classes: names of the classes.
        counts: split → number of examples of each class.
        sizes: width and height of the ``smallest``, ``median`` and ``largest`` stored image; empty if all are equal.
        skipped: files that are not used → the reason.
        notes: further remarks, one sentence each.
    """

    classes: tuple[str, ...]
    counts: Mapping[Split, Sequence[int]]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON values, with counts by class."""
        counts = {split: dict(zip(self.classes, found, strict=True)) for split, found in self.counts.items()}
        return asdict(self) | {"counts": counts}


class Task(ABC):
    """The data that networks learn from, and the way their outputs are scored.

    Every process builds the task again, only from the plan's parameters (keyword arguments with JSON values). The
    constructor checks the parameters and that the data exists; the data itself is read only when it is needed.

    Raises:
        TaskError: the data is missing or a parameter is out of range; the message says what to do.
    """

    #: Parameters that are paths. In a plan they are relative to the plan's folder; the task gets absolute paths.
    paths: ClassVar[tuple[str, ...]] = ()
    #: Shape of one deployed input, without the batch: ``(C, H, W)``.
    input_shape: tuple[int, int, int]
    #: The metrics that ``score`` returns; studies use the first one by default.
    metrics: tuple[Metric, ...]
    #: Number of channels of the output, such as the number of classes.
    num_outputs: int
    #: Normalization of pixels scaled to 0 … 1; None if inputs are made in another way.
    normalisation: Normalisation | None = None

    @abstractmethod
    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """Map-style data set of pairs ``(input, target)``, with inputs ``(C, H, W)`` float32 as deployed.

        With ``augment``, inputs are augmented for training, as the task is configured.
        """

    @abstractmethod
    def head(self, num_features: int, reduction: int, *, pool: str = "avg", dropout: float = 0.0) -> nn.Module:
        """Module from a feature map ``(N, num_features, H / reduction, W / reduction)`` to the task's output.

        ``pool`` is the kind of pooling, ``"avg"`` or ``"max"``, for heads that pool.
        """

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """Scalar training loss; ``targets`` may be the soft targets ``(N, num_outputs)`` of mixup."""

    @abstractmethod
    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Mapping[str, float]:
        """The task's metrics for all outputs of a split at once, as numpy arrays, which deployed files return."""

    def score_resampled(self, outputs: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        """Metrics ``(R,)`` of R resamples of the examples; ``counts`` ``(R, M)`` is how often each example counts.

        Tasks whose metrics follow from sums over examples can override this with a much faster computation.
        """
        drawn = (np.repeat(np.arange(len(row)), row) for row in counts)
        rows = [self.score(outputs[index], targets[index]) for index in drawn]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    @abstractmethod
    def fingerprint(self) -> str:
        """Hash of the data's content and splits, equal on every machine with the same data."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the outputs, in their order; empty if they have no names."""
        return ()

    @property
    def class_metrics(self) -> tuple[Metric, ...]:
        """Metrics of single classes, which are stored in addition to ``metrics``; none by default."""
        return ()

    def preprocessing(self) -> dict[str, Any]:
        """The steps that turn an image into an input, as JSON values; empty if inputs are not made from images.

        ``nas.tasks.preparation`` carries them out: ``channels`` (``RGB`` or ``L``), ``divide_by``, ``mean``, ``std``;
        optionally ``resize`` with ``shorter_side``, ``crop`` with ``height`` and ``width``, and ``white``.
        """
        channels = {1: "L", 3: "RGB"}.get(self.input_shape[0])
        if self.normalisation is None or channels is None:
            return {}
        mean, std = (list(values) for values in (self.normalisation.mean, self.normalisation.std))
        return {"channels": channels, "divide_by": 255, "mean": mean, "std": std}

    def summary(self) -> DataSummary | None:
        """Summary of the data by class; None if the task has none."""
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
    """Make the task called ``name`` with these parameters."""
    return TASKS.get(name)(**parameters)
