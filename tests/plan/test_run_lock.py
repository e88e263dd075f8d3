"""One run a results folder."""

import subprocess
import sys

import pytest

from infwidth.numerics.checks import InputError
from infwidth.plan.run_lock import hold, is_held_elsewhere

HOLD = """
import sys
from infwidth.plan.run_lock import hold
hold(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """A process that holds a folder until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "results"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_folder_is_held_until_its_process_is_gone_however_it_went(other, tmp_path):
    assert is_held_elsewhere(tmp_path / "results")
    with pytest.raises(InputError, match="another run is making it"):
        hold(tmp_path / "results")
    hold(tmp_path / "results-of-another")
    other.kill()
    other.wait()
    assert not is_held_elsewhere(tmp_path / "results")
    hold(tmp_path / "results")
    hold(tmp_path / "results")  # twice in one process is once
    assert not is_held_elsewhere(tmp_path / "results")
