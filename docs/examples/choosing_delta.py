"""
Choosing δ without a test set
=============================

A posterior offers two ways to choose its own coupling: the leave-one-out error and the evidence. What does either cost
beside the δ that is best on test points?
"""

import matplotlib.pyplot as plt
import numpy as np

from infwidth.tasks import linear
from infwidth.theory import bayes

couplings = np.r_[0, np.geomspace(0.1, 1000, 17), np.inf]
tasks = 60
curves = {"test loss": [], "leave-one-out error": [], "minus log-evidence a neuron": []}
for seed in range(tasks):
    task = linear(dimension=20, overlap=0.6, n_source=60, n_target=25, n_test=1000, target_noise=0.5, seed=seed)
    found = bayes.solve(
        task,
        activation="linear",
        source_strength=0.7,
        target_strength=0.7,
        elastic_coupling=couplings,
        inverse_temperature=4.0,
    )
    numbers = found.test_loss, found.leave_one_out, -found.log_evidence_density
    for curve, number in zip(curves.values(), numbers, strict=True):
        curve.append(number)
curves = {name: np.array(curve) for name, curve in curves.items()}
loss = curves["test loss"]

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for (name, curve), colour in zip(curves.items(), ("#000000", "#0072B2", "#D55E00"), strict=True):
    left.plot((curve / curve[:, :1]).mean(0), color=colour, label=name)
left.set_xticks([0, 5, 9, 13, 18], ["0", "1", "10", "100", "∞"])
left.set(xlabel="elastic coupling δ", ylabel="over its value at δ = 0, mean over tasks")
left.legend(fontsize="small")

best, rows = loss.min(1), np.arange(tasks)
costs = {
    "leave-one-out": loss[rows, curves["leave-one-out error"].argmin(1)] / best - 1,
    "evidence": loss[rows, curves["minus log-evidence a neuron"].argmin(1)] / best - 1,
    "always δ = 0": loss[:, 0] / best - 1,
    "always δ = ∞": loss[:, -1] / best - 1,
}
means = [100 * cost.mean() for cost in costs.values()]
errors = [100 * cost.std(ddof=1) / np.sqrt(tasks) for cost in costs.values()]
right.barh(list(costs), means, xerr=errors, color="0.6", capsize=3)
right.invert_yaxis()
right.set(xlabel="test loss above the best δ's, per cent", xlim=(0, None))

# %%
# The evidence weighs how probable the labels were before they were seen; what a test point costs is another question.
# ``infwidth advise`` goes by cross-validation.
