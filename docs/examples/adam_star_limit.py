"""
ADAM* from finite to infinite width
===================================

A readout of H frozen random features, trained by ADAM*, becomes its dual as H grows: a kernel model that holds
infinitely many features exactly. Adam, which has a second moment for each feature, does not.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from infwidth.adam_ntk import AdamStar, DualReadout, FrozenReadout

torch.manual_seed(0)
x, y, unseen = torch.randn(64, 10), torch.randn(64, 2), torch.randn(200, 10)


def train(model, optimiser):
    """60 steps of the squared error, then the function on inputs that were not seen."""
    for _ in range(60):
        optimiser.zero_grad()
        (model(x) - y).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        return model(unseen)


def adam(model):
    """Adam on functional gradients: H times the gradient is what it would see, and scale is all the same to it."""
    return torch.optim.Adam(model.parameters(), lr=0.1, eps=1e-12)


dual = DualReadout(10, 2, optimizer="adam_star", lr=0.1)
limit = train(dual, dual)
widths = np.array([64, 256, 1024, 4096])
rules = {"ADAM*": lambda model: AdamStar(model.parameters(), lr=0.1), "Adam": adam}
figure, axes = plt.subplots(layout="constrained")
for (name, rule), marker in zip(rules.items(), "os", strict=True):
    distances = []
    for width in widths:
        drawn = [FrozenReadout(10, 2, width=int(width), seed=seed) for seed in range(4)]
        distances.append([float((train(m, rule(m)) - limit).norm() / limit.norm()) for m in drawn])
    mean, error = np.mean(distances, 1), np.std(distances, 1, ddof=1) / 2
    power = np.polyfit(np.log(widths), np.log(mean), 1)[0]
    axes.errorbar(widths, mean, error, marker=marker, capsize=3, label=f"{name}: falls as H^{power:.2f}")
axes.set(xscale="log", yscale="log", xlabel="frozen features H", ylabel="relative distance from the limit")
axes.legend()

# %%
# The distance falls as H to the power −½ in every draw of the features, the error of a mean over H of them.
