"""Rows put together."""

import numpy as np
import pandas as pd
import pytest

from infwidth.io.rows import pooled
from infwidth.io.tables import make_table


@pytest.mark.parametrize("split", [(1, 1), (1, 4), (3, 2, 1)])
def test_parts_of_a_data_sets_networks_are_pooled_as_if_they_were_one(split):
    values = 7 + np.random.default_rng(0).standard_normal(sum(split))
    rows, counts, begin = [], [], 0
    for count in split:
        part, begin = values[begin : begin + count], begin + count
        error = part.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
        row = {"experiment": "e", "kind": "network", "seed": 0, "metric": "test_loss", "value": part.mean()}
        rows.append({**row, "stderr": error, "status": "converged"})
        counts.append(count)
    rows[-1]["status"] = "unmixed"
    rows.append({**rows[0], "seed": 1, "value": 3.0, "stderr": np.nan})
    found = pooled(make_table(rows), pd.Series([*counts, 1]))
    assert list(found["seed"]) == [0, 1]
    assert found["value"].tolist() == pytest.approx([values.mean(), 3.0])
    assert found["stderr"].iloc[0] == pytest.approx(values.std(ddof=1) / np.sqrt(len(values)))
    assert np.isnan(found["stderr"].iloc[1])
    assert found["status"].tolist() == ["unmixed", "converged"]
