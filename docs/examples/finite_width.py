"""
How wide is wide enough?
========================

At width N the expected test loss of a network from the posterior is E∞ + c/N. The theory knows c too, and so the
width at which the loss is one per cent off the limit's.
"""

import matplotlib.pyplot as plt
import numpy as np

from infwidth.networks import langevin
from infwidth.tasks import linear
from infwidth.theory import bayes

task = linear(dimension=8, overlap=0.8, n_source=30, n_target=6, n_test=400, target_noise=0.2, seed=1)
settings = {
    "activation": "linear",
    "source_strength": 0.5,
    "target_strength": 0.5,
    "elastic_coupling": 3.0,
    "inverse_temperature": 5.0,
}
limit = bayes.solve(task, **settings)
c = limit.finite_width
widths = np.array([20, 40, 80, 160])
runs = [langevin.run(task, **settings, width=int(n), seeds=range(12), sampling_time=300) for n in widths]

figure, axes = plt.subplots(layout="constrained")
fine = np.geomspace(15, 1500, 100)
axes.plot(fine, limit.test_loss + c.total / fine, label="theory, E∞ + c/N")
axes.axhline(limit.test_loss, color="0.5", linestyle=":", label="theory, N = ∞")
axes.errorbar(
    widths,
    [run.sampled_test_loss for run in runs],
    [run.stderr["sampled_test_loss"] for run in runs],
    fmt="o",
    color="black",
    capsize=3,
    label="sampled networks",
)
axes.set(xscale="log", xlabel="width N", ylabel="expected test loss of one network")
axes.legend()
print(f"c = {c.total:.2f} = {c.mean:.2f} (mean) + {c.thermal:.2f} (thermal) + {c.source:.2f} (source)")
print(f"1 % off at N = {c.one_percent:.0f}")

# %%
# ``mean`` is the shift of the posterior's mean predictor, ``thermal`` the scatter of networks of one posterior, and
# ``source`` that of the source network a target is tied to. Beyond linear networks they are measured on the particles.
