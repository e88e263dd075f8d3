"""Jumps between the two modes of one posterior's neurons: those that the data hold, and those near the prior.

Of a bounded activation the tilt exp(½(γ²/λ_w)s²) ends on a plateau: rich neurons are either near their prior or far
out, tens of units of log-density higher behind a gap that no trajectory crosses. Which share is out is part of the law.
Left alone it is an accident of the way there: raised labels find the far mode late, few particles fall into it, and g
grows until these alone fit the labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDS = 4
"""Reassignments of particles to Gaussians in a fit."""
FEWEST = 8
"""Particles of a mode, below which it is not fitted."""
OVERLAP = 0.05
"""Share of particles that the other Gaussian would claim, from which on trajectories cross by themselves."""


@dataclass(frozen=True)
class Gaussian:
    """N(mean, root rootᵀ) of whitened weights.

    Attributes:
        mean: (r,).
        root: lower triangle, (r, r).
        inverse: of the root, (r, r).
    """

    mean: Tensor
    root: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, whitened: Tensor) -> Gaussian:
        """Moments of whitened weights (n, r), the covariance shrunk towards the prior's as if by r weights of it."""
        count, size = whitened.shape
        mean = whitened.mean(0)
        eye = torch.eye(size, dtype=whitened.dtype, device=whitened.device)
        root = torch.linalg.cholesky((torch.addmm(size * eye, (whitened - mean).T, whitened - mean)) / (count + size))
        return cls(mean, root, torch.linalg.solve_triangular(root, eye, upper=False))

    def log_density(self, whitened: Tensor, *, even: bool = False) -> Tensor:
        """Of whitened weights (n, r) without the constant, (n,); ``even``: of its mirror image, too."""
        white, centre = whitened @ self.inverse.T, self.inverse @ self.mean
        across = white @ centre
        along = torch.logaddexp(across, -across) if even else across
        scale = self.inverse.diagonal().log().sum() - 0.5 * centre.square().sum()
        return along - 0.5 * white.square().sum(1) + scale

    def draw(self, normal: Tensor) -> Tensor:
        """Whitened weights from standard normal numbers, (n, r)."""
        return self.mean + normal @ self.root.T


@dataclass(frozen=True)
class Modes:
    """Proposals of an independence sampler: a Gaussian near the prior or one far out, as often.

    A half of the particles is proposed to from Gaussians fitted to the other half, so that no particle draws its own
    proposals; the law of all stays what it is, however bad the fit.

    Attributes:
        halves: the Gaussians for the first half of the particles, and for the second.
        odd: whether either sign is proposed, the law being even.
    """

    halves: tuple[tuple[Gaussian, Gaussian], tuple[Gaussian, Gaussian]]
    odd: bool

    @classmethod
    def of(cls, whitened: Tensor, energies: Tensor, *, odd: bool) -> Modes | None:
        """Fit to whitened weights (S, r), given ½(γ²/λ_w)s² of each, (S,); None unless there are two modes."""
        if odd:  # one sign of each pair of modes: that along which the tilt stretches the law most
            stretched = (whitened * energies[:, None]).T @ whitened
            whitened = whitened * torch.sign(whitened @ torch.linalg.eigh(stretched)[1][:, -1:])
        first, second = (_two(*half) for half in zip(whitened.chunk(2), energies.chunk(2), strict=True))
        return None if first is None or second is None else cls((second, first), odd)

    def propose(self, whitened: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """New whitened weights for (S, r), and log q(old) − log q(new), (S,)."""
        like = {"generator": generator, "dtype": whitened.dtype, "device": whitened.device}
        noise, coins = torch.randn(whitened.shape, **like), torch.rand((2, len(whitened), 1), **like)
        new, surplus = [], []
        for modes, old, normal, far, sign in zip(
            self.halves, whitened.chunk(2), noise.chunk(2), *(coin.chunk(2) for coin in coins < 0.5), strict=True
        ):
            drawn = torch.where(far, modes[1].draw(normal), modes[0].draw(normal))
            if self.odd:
                drawn = torch.where(sign, drawn, -drawn)
            new.append(drawn)
            surplus.append(self._log_density(modes, old) - self._log_density(modes, drawn))
        return torch.cat(new), torch.cat(surplus)

    def _log_density(self, modes: tuple[Gaussian, Gaussian], whitened: Tensor) -> Tensor:
        near, far = (mode.log_density(whitened, even=self.odd) for mode in modes)
        return torch.logaddexp(near, far)


def _two(whitened: Tensor, energies: Tensor) -> tuple[Gaussian, Gaussian] | None:
    """The Gaussians near the prior and far out, reassigning weights to the likelier one; None if not two."""
    far = energies > 0.5 * energies.max()
    for _ in range(ROUNDS):
        counts = int((~far).sum()), int(far.sum())
        if min(counts) < FEWEST:
            return None
        near, out = Gaussian.of(whitened[~far]), Gaussian.of(whitened[far])
        odds = out.log_density(whitened) - near.log_density(whitened) + math.log(counts[1] / counts[0])
        far = odds > 0
    return (near, out) if float(torch.sigmoid(-odds.abs()).mean()) < OVERLAP else None
