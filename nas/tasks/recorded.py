"""A classification task without data, which is enough to build a network for the task again."""

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
    """A classification task with input shape, classes and head, but without data.

    Args:
        input_shape: shape ``(C, H, W)`` of an input.
        num_outputs: number of classes.
        class_names: names of the classes, in the order of the outputs.
    """

    def __init__(self, input_shape: Sequence[int], num_outputs: int, class_names: Sequence[str]) -> None:
        channels, height, width = input_shape
        self.input_shape = (channels, height, width)
        self.num_outputs = num_outputs
        self._class_names = tuple(class_names)

    @staticmethod
    def stands_for(task: Task) -> bool:
        """Whether networks for ``task`` can be built from these values, as for classifications with the usual head."""
        return isinstance(task, Classification) and type(task).head is Classification.head

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, as recorded."""
        return self._class_names

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """Raise TaskError, because there is no data."""
        raise TaskError(f"an exported folder does not contain the {split} data; make the original task to read it")

    def fingerprint(self) -> str:
        """Raise TaskError, because there is no data."""
        raise TaskError("an exported folder does not contain the data, so there is no fingerprint")
