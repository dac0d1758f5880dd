"""A classification task without its data: what is needed to build a network for it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.errors import TaskError
from nas.tasks import Split, Task
from nas.tasks.classification import Classification

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset


class RecordedClassification(Classification):
    """Input shape, classes and head of a classification task; it has no data.

    Args:
        input_shape: ``(C, H, W)``.
        num_outputs: number of classes.
        class_names: their names, in the order of the outputs.
    """

    def __init__(self, input_shape: Sequence[int], num_outputs: int, class_names: Sequence[str]) -> None:
        channels, height, width = input_shape
        self.input_shape = (channels, height, width)
        self.num_outputs = num_outputs
        self._class_names = tuple(class_names)

    @staticmethod
    def stands_for(task: Task) -> bool:
        """Whether networks for ``task`` can be built from these values: it is a classification with the usual head."""
        return isinstance(task, Classification) and type(task).head is Classification.head

    @property
    def class_names(self) -> tuple[str, ...]:
        """As recorded."""
        return self._class_names

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """Raise TaskError: only the network was recorded."""
        raise TaskError(f"the {split} data are not part of an exported folder; open the task that they belong to")

    def fingerprint(self) -> str:
        """Raise TaskError: only the network was recorded."""
        raise TaskError("the data are not part of an exported folder, so they have no fingerprint")
