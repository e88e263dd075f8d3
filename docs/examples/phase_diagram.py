"""
When does transfer help?
========================

Averaged over data sets, the theory of linear networks costs microseconds a point, whatever the numbers of samples and
dimensions: a whole phase diagram in one call.
"""

import matplotlib.pyplot as plt
import numpy as np

from infwidth.theory import averaged, worth

overlap = np.linspace(0, 1, 80)[:, None]
ratio = np.geomspace(0.1, 10, 81)[None, :]
settings = {"source_ratio": 2.0, "source_richness": 3.0, "target_richness": 3.0, "inverse_temperature": 2.0}
loss = {
    coupling: averaged.solve(overlap=overlap, target_ratio=ratio, elastic_coupling=coupling, **settings).test_loss
    for coupling in (0.0, np.inf)
}
change = np.log10(np.broadcast_to(loss[np.inf] / loss[0.0], (80, 81)))

figure, axes = plt.subplots(layout="constrained")
shown = axes.pcolormesh(ratio[0], overlap[:, 0], change, cmap="RdBu_r", vmin=-1, vmax=1, rasterized=True)
axes.plot(ratio[0], worth.critical_overlap(target_ratio=ratio[0], **settings), "k--", label="critical overlap")
axes.set(xscale="log", xlabel="target samples over dimension, P2/D", ylabel="overlap α", ylim=(0, 1))
axes.legend(loc="lower right")
figure.colorbar(shown, label="log10 of the test loss, δ = ∞ over from scratch")

# %%
# Below the dashed line frozen source features do worse than a network trained from scratch. ``worth.best_coupling``
# finds the δ between, and ``worth.sample_savings`` how many target samples a source replaces:

delta, least = worth.best_coupling(overlap=[0.3, 0.6, 0.9], target_ratio=0.5, **settings)
saved = worth.sample_savings(overlap=[0.3, 0.6, 0.9], target_ratio=0.5, elastic_coupling=10.0, **settings)
print("best δ         ", delta)
print("test loss there", least)
print("samples saved/D", saved)
