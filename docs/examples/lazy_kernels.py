"""
Kernels of lazy networks
========================

Without feature learning an infinitely wide network is a kernel machine: NNGP if it is Bayesian, NTK if it is trained.
Both depend on the angle between two inputs; with depth they forget it.
"""

import matplotlib.pyplot as plt
import numpy as np

from infwidth.theory import kernels

angle = np.linspace(0, np.pi, 91)
circle = np.stack([np.cos(angle), np.sin(angle)], 1) * np.sqrt(2)  # |x|² = D

figure, panels = plt.subplots(1, 2, figsize=(9, 4), sharex=True, layout="constrained")
for axes, activation, variance in zip(panels, ("relu", "erf"), (2.0, 4.0), strict=True):
    for layers, colour in zip((1, 2, 4), ("#56B4E9", "#0072B2", "#000000"), strict=True):
        found = kernels.solve(circle[:1], circle, activation=activation, layers=layers, weight_variance=variance)
        for name, kernel, style in (("NNGP", found.nngp[0], "--"), ("NTK", found.ntk[0], "-")):
            axes.plot(angle, kernel / kernel[0], style, color=colour, label=f"{name}, {layers} hidden")
    axes.set(
        title=f"{activation}, weight variance {variance:g}",
        xlabel="angle between inputs",
        ylabel="kernel over its value at angle 0",
    )
    axes.set_xticks([0, np.pi / 2, np.pi], ["0", "π/2", "π"])
panels[1].legend(fontsize="small")

# %%
# Random networks have these kernels on average. One hidden layer of 20,000 ReLU neurons:

rng = np.random.default_rng(0)
hidden = np.maximum(circle @ rng.standard_normal((2, 20_000)) / np.sqrt(2), 0)
measured = hidden[0] @ hidden.T / 20_000
exact = kernels.nngp(circle[:1], circle, activation="relu")[0]
print(f"largest difference {np.abs(measured - exact).max():.3f} of {exact[0]:.3f}")
