"""Stage: train (gradient flow) or sample (Langevin) the source networks of one cell, batched over seeds."""

from __future__ import annotations

from infwidth.io.atomic import read_arrays
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.stages.parts.batch import batch_options, repeated, save_source, trainer
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write hidden weights and readouts of the source networks, one for each data set and network seed."""
    p = job.params
    data, options = read_arrays(job.inputs["data"]), batch_options(p)
    networks = trainer(p["training"], "source")(
        *repeated(p, data["x_source"], data["y_source"]),
        activation=p["activation"],
        source_strength=p["source_strength"],
        width=p["width"],
        **p["settings"],
        **options,
        progress=job.progress(),
    )
    if Status.DIVERGED in networks.status:
        failed = [
            seed for seed, status in zip(_data_seeds(p), networks.status, strict=True) if status is Status.DIVERGED
        ]
        raise UnconvergedError(f"source networks of seeds {failed} at γ̄ = {p['source_strength']:g}", Status.DIVERGED)
    save_source(job.outputs["networks"], networks)
    job.facts |= {
        "device": options["device"],
        "dtype": p["precision"],
        "status": sorted({status.value for status in networks.status}),
    }


def _data_seeds(params: dict) -> list[str]:
    return [seed for seed, seeds in params["network_seeds"].items() for _ in seeds]


if __name__ == "__main__":
    main()
