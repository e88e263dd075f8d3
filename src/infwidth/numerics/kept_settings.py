"""Modules whose state says what function it is of, so that it is not read as another's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import nn

from infwidth.numerics.checks import InputError


class KeepsSettings(nn.Module, ABC):
    """A module that keeps its settings beside its state and refuses a state of others.

    Only shapes tell torch's states apart: those of two activations look alike. Settings are in the state's metadata,
    where torch keeps the versions of modules, and go wherever it does, into files too.
    """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What decides, beside the numbers of the state, which function the module is: names → plain values."""

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        metadata = getattr(destination, "_metadata", {})
        metadata[prefix[:-1]] = metadata.get(prefix[:-1], {}) | {"settings": self.settings()}

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, local_metadata: Mapping[str, Any], *rest: Any
    ) -> None:
        self._check_settings(prefix, local_metadata)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def _check_settings(self, prefix: str, local_metadata: Mapping[str, Any]) -> None:
        found = local_metadata.get("settings", {})
        for name, value in self.settings().items():
            if name in found and found[name] != value:
                raise InputError(
                    f"state of {prefix}{type(self).__name__} has {name} = {found[name]!r}: expected {value!r}, the "
                    "module's; make it with the same settings"
                )
