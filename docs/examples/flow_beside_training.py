"""
Flow theory beside trained networks
===================================

A ReLU network learns a linear source and then a quadratic target, starting from and tied to the source's hidden
weights, or from scratch. The mean-field theory of gradient flow follows it through the whole training.
"""

import matplotlib.pyplot as plt

from infwidth.networks import gradient_flow
from infwidth.tasks import hermite
from infwidth.theory import flow

task = hermite(dimension=8, source_degree=1, target_degree=2, n_source=60, n_target=30, n_test=400, seed=0)
settings = {
    "activation": "relu",
    "source_strength": 0.3,
    "target_strength": 0.3,
    "weight_decay": 0.05,
    "source_time": 10,
    "target_times": [0, 0.3, 1, 3, 10],
}
cases = {
    "tied, δ = 10": {"elastic_coupling": 10.0},
    "free, δ = 0": {"elastic_coupling": 0.0},
    "from scratch": {"elastic_coupling": 0.0, "start": "scratch"},
}
figure, axes = plt.subplots(layout="constrained")
for (name, case), colour in zip(cases.items(), ("#0072B2", "#E69F00", "#555555"), strict=True):
    theory = flow.solve(task, **settings, **case, particles=256, replicas=3)
    networks = gradient_flow.run(task, **settings, **case, width=1000, seeds=range(4))
    axes.plot(theory.times, theory.test_loss, color=colour, label=name)
    error = theory.stderr["test_loss"]
    axes.fill_between(theory.times, theory.test_loss - error, theory.test_loss + error, color=colour, alpha=0.2)
    axes.errorbar(networks.times, networks.test_loss, networks.stderr["test_loss"], fmt="o", color=colour, capsize=3)
axes.set_xscale("symlog", linthresh=0.3)
axes.set(xlabel="target time t", ylabel="test loss")
axes.legend(title="lines: theory, markers: networks")

# %%
# ``anchor="random"`` ties the target to random weights of the source's norms instead. Anything that a coupling does
# there as well is no transfer: the claims of this project use it as a control.
