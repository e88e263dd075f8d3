"""
Bayesian theory beside sampled networks
=======================================

Two linear teachers at an angle: the test loss of the target's posterior against the elastic coupling δ, from the saddle
point at infinite width and from networks sampled by Hamiltonian Monte Carlo.
"""

import matplotlib.pyplot as plt
import numpy as np

from infwidth.networks import langevin
from infwidth.tasks import linear
from infwidth.theory import bayes

couplings = [0, 1, 10, np.inf]
settings = {
    "activation": "linear",
    "source_strength": 1.0,
    "target_strength": 1.0,
    "elastic_coupling": couplings,
    "inverse_temperature": 5.0,
}
figure, axes = plt.subplots(layout="constrained")
for overlap, colour in ((0.3, "#0072B2"), (0.9, "#D55E00")):
    task = linear(dimension=12, overlap=overlap, n_source=40, n_target=8, n_test=500, seed=0)
    theory = bayes.solve(task, **settings)
    networks = langevin.run(task, **settings, width=200, seeds=range(4))
    axes.plot(theory.test_loss, color=colour, label=f"theory, α = {overlap}")
    axes.errorbar(
        range(len(couplings)),
        networks.test_loss,
        networks.stderr["test_loss"],
        fmt="o",
        color=colour,
        capsize=3,
        label=f"networks of width 200, α = {overlap}",
    )
axes.set_xticks(range(len(couplings)), ["0", "1", "10", "∞"])
axes.set(xlabel="elastic coupling δ", ylabel="test loss", ylim=(0, None))
axes.legend()

# %%
# The two share the data and the activation's formula, and no other code. At finite width a part of order 1/N is left
# between them; :doc:`finite_width` measures it.
