"""Tasks with drawn shapes, in any number and difficulty: classification and segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn
from torch.nn import functional

from nas.tasks import Metric, Split, Task
from nas.tasks.classification import Classification
from nas.tasks.images import Labelled, Normalisation, StackedImages, TransformedImages, stack_as_is
from nas.tasks.shape_images import SHAPES
from nas.tasks.shape_source import ShapeSource
from nas.tasks.transforms import Augmentation, augmentation_settings, augmenting, preparation

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

NORMALISATION = Normalisation((0.5, 0.5, 0.5), (0.27, 0.27, 0.27))
AUGMENTATION = {"scale": (0.7, 1.0), "ratio": (0.85, 1.18), "hflip": 0.5}


class Shapes(Classification):
    """Colour images that each show one of eight shapes; the network tells which.

    Colour, place, size, rotation, clutter and noise vary. The images are drawn, not downloaded. The score is
    ``accuracy``.

    Args:
        image_size: width and height in pixels, 16 to 256.
        num_train: number of training images.
        num_validation: number of validation images.
        num_test: number of test images.
        difficulty: 0 (large, upright, plain) to 1 (almost impossible to recognise); sets every factor of
            ``nas.tasks.shape_images.Factors``.
        factors: factors that do not follow ``difficulty``: name → value.
        augmentation: augmentation of training images; none by default.
        seed: seed of the images.
        cache: folder that keeps drawn images; ``~/.cache/measured-nas`` by default, ``""`` keeps none.
    """

    paths = ("cache",)
    normalisation = NORMALISATION

    num_outputs = len(SHAPES)

    def __init__(
        self,
        image_size: int = 32,
        num_train: int = 8000,
        num_validation: int = 4000,
        num_test: int = 4000,
        difficulty: float = 0.35,
        factors: Mapping[str, float] | None = None,
        augmentation: Augmentation = None,
        seed: int = 0,
        cache: str | None = None,
    ) -> None:
        counts: dict[Split, int] = {"train": num_train, "validation": num_validation, "test": num_test}
        self._source = ShapeSource.checked("shapes", image_size, counts, difficulty, factors, seed, cache)
        self.input_shape = (3, image_size, image_size)
        self._augmentation = augmentation_settings(augmentation, AUGMENTATION)
        self._augment = augmenting(self.input_shape, NORMALISATION, self._augmentation)
        self._stacked: dict[Split, StackedImages] = {}

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """See ``Task.dataset``."""
        if augment and self._augmentation:
            return TransformedImages(self._labelled(split), self._augment)
        if split not in self._stacked:
            self._stacked[split] = stack_as_is(self._labelled(split), NORMALISATION)
        return self._stacked[split]

    def preprocessing(self) -> dict[str, Any]:
        """See ``Task.preprocessing``."""
        return super().preprocessing() | preparation(self.input_shape)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the shapes."""
        return SHAPES

    def fingerprint(self) -> str:
        """See ``Task.fingerprint``; a hash of all values that the images depend on."""
        return self._source.fingerprint(["classes", self._augmentation])

    def _labelled(self, split: Split) -> Labelled:
        drawn = self._source.split(split)
        return Labelled(drawn.images, drawn.classes)


class ShapesSegmentation(Task):
    """Images as in ``shapes``; the network tells for every pixel which shape it shows.

    Class 0 is the background, classes 1 to 8 are the shapes. The scores are ``mean_iou`` and ``pixel_accuracy``. The
    parameters are those of ``Shapes``, without ``augmentation``.
    """

    paths = ("cache",)
    normalisation = NORMALISATION

    metrics = (Metric("mean_iou", "maximize"), Metric("pixel_accuracy", "maximize"))
    num_outputs = len(SHAPES) + 1

    def __init__(
        self,
        image_size: int = 32,
        num_train: int = 4000,
        num_validation: int = 1000,
        num_test: int = 1000,
        difficulty: float = 0.3,
        factors: Mapping[str, float] | None = None,
        seed: int = 0,
        cache: str | None = None,
    ) -> None:
        counts: dict[Split, int] = {"train": num_train, "validation": num_validation, "test": num_test}
        name = "shapes_segmentation"
        self._source = ShapeSource.checked(name, image_size, counts, difficulty, factors, seed, cache)
        self.input_shape = (3, image_size, image_size)
        self._stacked: dict[Split, StackedImages] = {}

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """See ``Task.dataset``; targets are ``(H, W)`` int64. There is no augmentation."""
        if split not in self._stacked:
            drawn = self._source.split(split)
            targets = np.where(drawn.masks, drawn.classes[:, None, None] + 1, 0)
            self._stacked[split] = stack_as_is(Labelled(drawn.images, targets), NORMALISATION)
        return self._stacked[split]

    def head(self, num_features: int, reduction: int, *, pool: str = "avg", dropout: float = 0.0) -> nn.Module:
        """A 1×1 convolution and upsampling, no pooling: ``(N, num_features, h, w)`` → ``(N, num_outputs, H, W)``."""
        size = self.input_shape[1:]
        return nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(num_features, self.num_outputs, 1),
            nn.Upsample(size=size, mode="bilinear", align_corners=False),
        )

    def loss(self, outputs: Tensor, targets: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
        """Mean cross-entropy over pixels, of logits ``(N, num_outputs, H, W)`` with classes ``(N, H, W)``."""
        return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Mapping[str, float]:
        """Score logits ``(M, num_outputs, H, W)`` against classes ``(M, H, W)``.

        ``mean_iou`` is the mean over classes of intersection over union; classes that occur neither in targets nor in
        outputs do not count. ``pixel_accuracy`` is the share of correct pixels.
        """
        scores = self.score_resampled(outputs, targets, np.ones((1, len(targets)), dtype=np.int64))
        return {name: float(values[0]) for name, values in scores.items()}

    def score_resampled(self, outputs: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> Mapping[str, np.ndarray]:
        """See ``Task.score_resampled``; the confusion matrix of a resample is the sum of its images' matrices."""
        cells = self.num_outputs**2
        pairs = (targets * self.num_outputs + outputs.argmax(axis=1)).reshape(len(targets), -1)
        pairs += cells * np.arange(len(targets))[:, None]
        images = np.bincount(pairs.ravel(), minlength=cells * len(targets)).reshape(-1, cells)
        confusion = (counts @ images).reshape(len(counts), self.num_outputs, self.num_outputs)
        right = np.diagonal(confusion, axis1=1, axis2=2)
        union = confusion.sum(axis=1) + confusion.sum(axis=2) - right
        present = union > 0
        share = np.divide(right, union, out=np.zeros(right.shape), where=present)
        return {
            "mean_iou": share.sum(axis=1) / present.sum(axis=1),
            "pixel_accuracy": right.sum(axis=1) / confusion.sum(axis=(1, 2)),
        }

    def preprocessing(self) -> dict[str, Any]:
        """See ``Task.preprocessing``."""
        return super().preprocessing() | preparation(self.input_shape)

    @property
    def class_names(self) -> tuple[str, ...]:
        """``ground`` for the background, and the names of the shapes."""
        return ("ground", *SHAPES)

    def fingerprint(self) -> str:
        """See ``Task.fingerprint``; a hash of all values that the images depend on."""
        return self._source.fingerprint(["pixels"])
