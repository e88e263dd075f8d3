"""How a stage hands data sets and seeds to the networks: data sets outermost, network seeds innermost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infwidth.io.atomic import read_arrays, write_arrays
from infwidth.networks.two_layer.ensemble import SourceNetworks
from infwidth.numerics.lazy import registered
from infwidth.numerics.status import Status
from infwidth.stages.parts.device import resolve_device


def trainer(training: str, part: str) -> Callable[..., Any]:
    """The function that trains or samples the source or target networks."""
    return registered("engines", "ENGINES", training).network_door(part)


def batch_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """Seeds, one for each network of the batch, dtype and device."""
    return {
        "seeds": [seed for seeds in params["network_seeds"].values() for seed in seeds],
        "dtype": getattr(torch, params["precision"]),
        "device": resolve_device(params["device"]),
    }


def save_source(path: Path, networks: SourceNetworks) -> None:
    """Write source networks as an .npz."""
    arrays = {"hidden": networks.hidden.cpu().numpy(), "readout": networks.readout.cpu().numpy()}
    statuses = np.array([status.value for status in networks.status])
    write_arrays(path, arrays | {"status": statuses, "steps": np.asarray(networks.steps)})


def load_source(path: Path) -> SourceNetworks:
    """Read what :func:`save_source` wrote, onto the CPU."""
    saved = read_arrays(path)
    return SourceNetworks(
        hidden=torch.from_numpy(saved["hidden"]),
        readout=torch.from_numpy(saved["readout"]),
        status=tuple(Status(text) for text in saved["status"].tolist()),
        steps=saved["steps"],
    )


def replicas(params: Mapping[str, Any]) -> int:
    """Networks a data set."""
    return len(next(iter(params["network_seeds"].values())))


def repeated(params: Mapping[str, Any], *arrays: np.ndarray) -> list[np.ndarray]:
    """Repeat arrays (data sets, …) to (networks, …): each data set once for every network seed."""
    return [np.repeat(array, replicas(params), axis=0) for array in arrays]


def over_replicas(params: Mapping[str, Any], values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over a data set's networks; (networks, …) → two arrays (data sets, …).

    One network a data set has no standard error: nan.
    """
    count = replicas(params)
    grouped = values.reshape(-1, count, *values.shape[1:])
    mean = grouped.mean(axis=1)
    if count == 1:
        return mean, np.full_like(mean, np.nan)
    return mean, grouped.std(axis=1, ddof=1) / np.sqrt(count)
