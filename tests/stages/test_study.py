"""A job of several seeds gives what jobs of one each do."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from infwidth.io.tables import read_table
from infwidth.stages import study

SETTINGS = {
    "limit": {"samples": 20, "test_samples": 10, "batch": 10, "steps": 2, "widths": [4, 8], "feature_draws": 1},
    "expectation": {"samples": 20, "test_samples": 10, "batch": 10, "steps": 2, "widths": [4, 8], "draws": 4},
}
ROOTS = {"0": 5, "1": 6}


def run(tmp_path, kind, seeds):
    params = {"experiment": "e", "cell": "c", "study": kind, "settings": SETTINGS[kind], "seeds": seeds}
    out = tmp_path / f"{'-'.join(seeds)}.csv"
    done = CliRunner().invoke(study.main, [f"--params={json.dumps(params)}", f"--output=table={out}"])
    assert done.exit_code == 0, done.output
    return read_table(out)


@pytest.mark.parametrize("kind", SETTINGS)
def test_seeds_of_one_job_are_those_of_jobs_of_their_own(tmp_path, kind):
    together = run(tmp_path, kind, ROOTS)
    alone = [run(tmp_path, kind, {seed: root}) for seed, root in ROOTS.items()]
    assert [set(table["seed"]) for table in alone] == [{0}, {1}]
    assert not alone[0]["value"].equals(alone[1]["value"])
    order = list(together.columns[:-1])
    expected = pd.concat(alone).sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(together.sort_values(order, ignore_index=True), expected)
