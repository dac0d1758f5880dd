"""Handwritten digits from scikit-learn: 1,797 grey images of 8×8 pixels (UCI, Alpaydin and Kaynak 1998)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.datasets import load_digits

from nas.tasks import Split
from nas.tasks.classification import Classification
from nas.tasks.images import Labelled, Normalisation, StackedImages, TransformedImages, fingerprint_of, stack
from nas.tasks.parameters import whole
from nas.tasks.splits import stratified
from nas.tasks.transforms import Augmentation, Resizing, augmentation_settings, augmenting, preparation

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.data import Dataset

NORMALISATION = Normalisation((0.305,), (0.318,))
#: Digits keep their meaning under small changes of scale and aspect ratio, but not when mirrored.
AUGMENTATION = {"scale": (0.7, 1.0), "ratio": (0.85, 1.18)}


class Digits(Classification):
    """The 1,797 handwritten digits of scikit-learn: 1,078 for training, 359 for validation, 360 for testing.

    Nothing is downloaded. The split is stratified by class. The score is ``accuracy``.

    An input is made in three steps. Pixels from 0 to 16 are scaled to 0 … 255 and rounded. The image is resized to
    ``image_size`` (Pillow's bilinear filter, rounded to whole numbers; scaling up involves no antialiasing). Each pixel
    becomes ``(pixel / 255 - 0.305) / 0.318``. ``dataset`` returns such inputs, ``(1, image_size, image_size)`` float32.

    Args:
        image_size: width and height in pixels, 8 to 64; the images are scaled up from 8.
        augmentation: augmentation of training images; none by default.
        seed: seed of the split.
    """

    num_outputs = 10
    normalisation = NORMALISATION

    def __init__(self, image_size: int = 16, augmentation: Augmentation = None, seed: int = 0) -> None:
        size = whole("digits: image_size", image_size, 8, 64)
        self.input_shape = (1, size, size)
        self._seed = whole("digits: seed", seed, 0, 2**32 - 1)
        self._augmentation = augmentation_settings(augmentation, AUGMENTATION)
        self._augment = augmenting(self.input_shape, NORMALISATION, self._augmentation)
        self._stacked: dict[Split, StackedImages] = {}

    def dataset(self, split: Split, *, augment: bool = False) -> Dataset[tuple[Tensor, Tensor]]:
        """See ``Task.dataset``."""
        if augment and self._augmentation:
            return TransformedImages(self._splits[split], self._augment)
        if split not in self._stacked:
            self._stacked[split] = stack(self._splits[split], Resizing(self.input_shape), NORMALISATION)
        return self._stacked[split]

    def fingerprint(self) -> str:
        """See ``Task.fingerprint``; the augmentation is included."""
        arrays = [array for split in self._splits.values() for array in split]
        return fingerprint_of([self.input_shape, self._augmentation], *arrays)

    def preprocessing(self) -> dict[str, Any]:
        """See ``Task.preprocessing``."""
        return super().preprocessing() | preparation(self.input_shape)

    @cached_property
    def _splits(self) -> dict[Split, Labelled]:
        data = load_digits()
        images = np.rint(data.images * (255 / 16)).astype(np.uint8)
        rest, test = stratified(data.target, 360, self._seed)
        train, validation = stratified(data.target[rest], 359, self._seed)
        parts: dict[Split, np.ndarray] = {"train": rest[train], "validation": rest[validation], "test": test}
        return {split: Labelled(images[part], data.target[part]) for split, part in parts.items()}
