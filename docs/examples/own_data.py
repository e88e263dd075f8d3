"""
How strongly to tie a network of your own
=========================================

Two labelled data sets, no test set: cross-validation by the theory predicts the target's loss at every δ. Here one
source is related to the target and another is not.
"""

import matplotlib.pyplot as plt
import numpy as np

from infwidth.applied import InfiniteWidthTransfer, advise
from infwidth.tasks import linear
from infwidth.tasks.own_data import OwnData

couplings = [0, 1, 10, np.inf]
figure, axes = plt.subplots(layout="constrained")
for overlap, name, colour in ((0.95, "related", "#0072B2"), (0.0, "unrelated", "#D55E00")):
    task = linear(dimension=20, overlap=overlap, n_source=100, n_target=24, n_test=500, target_noise=0.3, seed=3)
    data = OwnData(task.x_source, task.y_source, task.x_target, task.y_target, label=f"{name} source")
    advice = advise(data, activation="linear", couplings=couplings)
    gain, error = 100 * advice.table["gain"], 100 * advice.table["gain_stderr"]
    axes.errorbar(range(4), gain, error, color=colour, capsize=3, label=name)
    print(f"{name}: {advice.sentence}\n")
axes.set_xticks(range(4), ["0", "1", "10", "∞"])
axes.set(xlabel="elastic coupling δ", ylabel="predicted gain over training from scratch, per cent")
axes.legend(title="source")

# %%
# On the command line: ``infwidth advise source.npz target.npz``. As a scikit-learn estimator, which chooses δ itself:

task = linear(dimension=20, overlap=0.95, n_source=100, n_target=24, n_test=500, target_noise=0.3, seed=3)
model = InfiniteWidthTransfer(activation="linear", elastic_coupling="auto")
model.fit_source(task.x_source, task.y_source).fit(task.x_target, task.y_target)
print(f"δ = {model.elastic_coupling_:g}, R² on test points {model.score(task.x_test, task.y_test):.2f}")
