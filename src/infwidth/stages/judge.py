"""Stage: judge the claims made about one experiment."""

from __future__ import annotations

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.claims import judge_all
from infwidth.io.atomic import write_json
from infwidth.io.tables import read_table
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the verdicts on the experiment's claims as JSON."""
    claims = [Claim(**declared) for declared in job.params["claims"]]
    table = read_table(job.inputs["table"])
    verdicts = judge_all(claims, table, job.params.get("seconds"), job.params.get("looks"))
    write_json(job.outputs["verdicts"], [verdict.as_dict() for verdict in verdicts])


if __name__ == "__main__":
    main()
