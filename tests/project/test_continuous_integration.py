"""What CI runs where there is no real data, and how the hosted workflow calls it."""

import re
import subprocess

import yaml

from infwidth.plan.config import load_config


def test_what_stands_in_for_real_data_is_not_held_against_the_reference(root):
    config = load_config(root / "config/ci.yaml")
    images = {name for name, experiment in config["experiments"].items() if "images" in experiment["task"]}
    texts = set()
    for name, entry in config["studies"].items():
        ((kind, settings),) = entry["study"].items()
        if kind == "language":
            texts.add(name)
        elif settings.get("dataset") == "images":
            images.add(name)
    script = (root / ".ci/run").read_text(encoding="utf-8")
    skipped = [set(re.findall(r"--skip (\w+)", line)) for line in script.splitlines() if "--skip" in line]
    assert skipped == [images, texts]


def test_the_hosted_workflow_takes_no_part_of_a_command_from_a_name_that_others_choose(root):
    workflow = yaml.safe_load((root / ".github/workflows/figures.yml").read_text(encoding="utf-8"))
    commands = [step["run"] for step in workflow["jobs"]["figures"]["steps"] if "run" in step]
    assert commands
    for command in commands:
        assert "${{" not in command
        for script in re.findall(r"bash (\S+)", command):
            assert subprocess.run(["bash", "-n", root / script]).returncode == 0
