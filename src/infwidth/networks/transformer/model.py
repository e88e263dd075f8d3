"""A decoder-only transformer whose MLP blocks are pluggable, and the ordinary trained block.

Blocks are pre-LayerNorm: x ← x + attention(LN x), x ← x + mlp(LN x). Every weight outside the MLP blocks is drawn from
a seed of its own, so that models which differ in their blocks alone start from the same rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_count
from infwidth.numerics.kept_settings import KeepsSettings
from infwidth.numerics.seeds import derive_seed

MakeMLP = Callable[[int], nn.Module | None]
EMBEDDING_SCALE = 0.02
"""Standard deviation of embeddings, positions and unembedding at the start: a nearly uniform prediction."""


class Transformer(nn.Module):
    """Tokens to logits of the next token.

    Args:
        vocabulary: number of tokens V ≥ 1.
        context: tokens seen at once T ≥ 1; positions are learned.
        model_width: d ≥ 1, of the residual stream.
        layers: L ≥ 1.
        heads: attention heads, a divisor of ``model_width``.
        make_mlp: layer index 0 … L−1 ↦ the layer's MLP block, a module (n, d) → (n, d) without residual or norm; or
            None, for no block.
        seed: whole number ≥ 0 that all weights outside the MLP blocks derive from.

    Raises:
        InputError: a number out of range, or a width that the heads don't divide.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int,
        *,
        model_width: int,
        layers: int,
        heads: int,
        make_mlp: MakeMLP,
        seed: int = 0,
    ):
        super().__init__()
        self.vocabulary, self.context = check_count("vocabulary", vocabulary), check_count("context", context)
        check_count("model_width", model_width)
        if model_width % check_count("heads", heads):
            raise InputError(f"heads = {heads}: expected a divisor of model_width = {model_width}; change one of them")
        blocks = [make_mlp(layer) for layer in range(check_count("layers", layers))]
        with torch.random.fork_rng(devices=[]):  # torch draws weights that _draw replaces
            self.embedding = nn.Embedding(vocabulary, model_width)
            self.positions = nn.Parameter(torch.empty(context, model_width))
            self.layers = nn.ModuleList(_Layer(model_width, heads, block) for block in blocks)
            self.norm = nn.LayerNorm(model_width)
            self.unembedding = nn.Linear(model_width, vocabulary, bias=False)
        self._draw(check_count("seed", seed, minimum=0))

    @torch.no_grad()
    def _draw(self, seed: int) -> None:
        residual = 1 / math.sqrt(2 * len(self.layers))  # keeps the residual stream's scale at any depth
        for name, weight in self._own_parameters():
            if weight.ndim < 2:  # norms start as the identity
                continue
            scale = 1 / math.sqrt(weight.shape[1]) if "attention" in name else EMBEDDING_SCALE
            scale *= residual if name.endswith("attention.out.weight") else 1
            # drawn on the CPU, so that a GPU starts from the same weights
            random = torch.Generator().manual_seed(derive_seed(seed, "transformer", name))
            weight.copy_(scale * torch.randn(weight.shape, generator=random))

    def _own_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        inside = {id(weight) for layer in self.layers if layer.mlp is not None for weight in layer.mlp.parameters()}
        return ((name, weight) for name, weight in self.named_parameters() if id(weight) not in inside)

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Return every parameter outside the MLP blocks, in a fixed order."""
        return [weight for _, weight in self._own_parameters()]

    def mlp_blocks(self) -> list[nn.Module]:
        """Return the MLP blocks, first layer first; empty without any."""
        return [layer.mlp for layer in self.layers if layer.mlp is not None]

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of the token after each.

        Args:
            tokens: (B, T), whole numbers in 0 … V−1, T ≤ context.

        Returns:
            Logits, (B, T, V).
        """
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.unembedding(self.norm(x))


class _Attention(nn.Module):
    """Causal self-attention of several heads, (B, T, d) → (B, T, d)."""

    def __init__(self, model_width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(model_width, 3 * model_width, bias=False)
        self.out = nn.Linear(model_width, model_width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.project(x).chunk(3, dim=-1)
        )
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(-2))


class _Layer(nn.Module):
    """Attention and, unless it is None, an MLP block."""

    def __init__(self, model_width: int, heads: int, mlp: nn.Module | None):
        super().__init__()
        self.attention_norm = nn.LayerNorm(model_width)
        self.attention = _Attention(model_width, heads)
        self.mlp_norm = None if mlp is None else nn.LayerNorm(model_width)
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        if self.mlp is None:
            return x
        # blocks see a plain list of inputs: a kernel block compares each with each
        return x + self.mlp(self.mlp_norm(x).flatten(0, 1)).view_as(x)


class TrainedReadout(KeepsSettings):
    """The ordinary two-layer block: y = (1/H) M φ(ω·x/√d) with both ω and M trained.

    The same function as a block of frozen features (docs/theory.md §4), whose first layer stays where this one starts:
    ω ~ N(0, 1), M(0) = 0, features √2 relu or, for other activations, φ itself.

    Args:
        in_features: d ≥ 1.
        out_features: E ≥ 1.
        width: H ≥ 1.
        activation: "relu", "erf" or "linear".
        bias: adds an input √d to every x, a bias of unit variance.
        seed: whole number ≥ 0 that ω derives from.

    Raises:
        InputError: a number out of range, or an unknown activation.

    Attributes:
        hidden: ω, (H, d), or (H, d + 1) with a bias.
        readout: M, (E, H).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        width: int,
        activation: str = "relu",
        bias: bool = False,
        seed: int,
    ):
        super().__init__()
        d, outputs = check_count("in_features", in_features), check_count("out_features", out_features)
        self.width, self.bias, self.root = check_count("width", width), bias, math.sqrt(d)
        self.activation = get_activation(activation)
        self.gain = math.sqrt(2) if activation == "relu" else 1.0
        random = torch.Generator().manual_seed(derive_seed(check_count("seed", seed, minimum=0), "features"))
        self.hidden = nn.Parameter(torch.randn(width, d + bias, generator=random))
        self.readout = nn.Parameter(torch.zeros(outputs, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (…, E) of inputs (…, d)."""
        if self.bias:
            x = torch.cat([x, x.new_full((*x.shape[:-1], 1), self.root)], dim=-1)
        # scaling the weights, not the features, saves passes over the larger arrays
        features = self.activation.value(x @ (self.hidden / self.root).T)
        return features @ (self.readout * (self.gain / self.width)).T

    def settings(self) -> dict[str, object]:
        """Return what the state must have been made with."""
        return {"activation": self.activation.name, "bias": bool(self.bias)}
