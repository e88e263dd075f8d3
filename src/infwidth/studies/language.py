"""The transformers of language studies: what their MLP blocks are, and which optimisers move what."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from infwidth.adam_ntk.adam_star import find_options, make_optimiser
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.adam_ntk.variants import VARIANTS
from infwidth.networks.transformer.model import TrainedReadout, Transformer
from infwidth.networks.transformer.training import Updater
from infwidth.numerics.checks import check_choice
from infwidth.numerics.seeds import derive_seed


def make_variant(
    optimiser: str,
    width: float | None,
    *,
    vocabulary: int,
    context: int,
    model_width: int,
    layers: int,
    heads: int,
    activation: str,
    learning_rate: float,
    backbone_rate: float,
    beta2: float,
    seed: int,
) -> tuple[Transformer, list[Updater]]:
    """Return a transformer and what moves it; variants of one seed differ in their MLP blocks alone.

    The readouts M of the blocks are moved by ``optimiser``, everything else by Adam. ``unfrozen_adam`` moves the first
    layer of the blocks too: its weights ω/√d, as any other, by Adam at ``backbone_rate``. The other variants leave ω
    where that one starts.

    Args:
        optimiser: a name of ``adam_ntk.variants.VARIANTS``.
        width: H ≥ 1 of the blocks, or inf; None without blocks.
        vocabulary: number of tokens V.
        context: tokens seen at once T.
        model_width: d, of the residual stream.
        layers: L.
        heads: attention heads, a divisor of d.
        activation: of the blocks.
        learning_rate: of the readouts, on functional gradients.
        backbone_rate: of everything else.
        beta2: decay of second moments, of the readouts and of everything else.
        seed: that all weights derive from.
    """
    variant = VARIANTS[check_choice("optimiser", optimiser, VARIANTS)]
    readout, trained = variant.optimiser, not variant.frozen

    def betas() -> tuple[float, float]:
        return find_options(readout).get("betas", (0.9, beta2))[0], beta2

    def block(layer: int) -> nn.Module | None:
        if readout is None:
            return None
        if width == math.inf:
            return DualReadout(model_width, model_width, activation=activation, optimizer=readout, lr=learning_rate,
                               betas=betas())  # fmt: skip
        make: Callable[..., nn.Module] = TrainedReadout if trained else FrozenReadout
        drawn = derive_seed(seed, "block", layer)
        return make(model_width, model_width, width=width, activation=activation, seed=drawn)

    shape = {"model_width": model_width, "layers": layers, "heads": heads}
    model = Transformer(vocabulary, context, **shape, make_mlp=block, seed=derive_seed(seed, "backbone"))
    groups = [{"params": model.backbone_parameters(), "lr": backbone_rate}]
    blocks = model.mlp_blocks()
    if blocks and trained:
        # ω is 1/√d's times the ordinary weight, and Adam's steps know no scale
        groups.append({"params": [one.hidden for one in blocks], "lr": backbone_rate * math.sqrt(model_width)})
    movers: list[Updater] = [torch.optim.Adam(groups, betas=(0.9, beta2), fused=True)]
    if width == math.inf:
        return model, [*movers, *blocks]
    if blocks:
        movers.append(make_optimiser(readout, [one.readout for one in blocks], lr=learning_rate, betas=betas()))
    return model, movers
