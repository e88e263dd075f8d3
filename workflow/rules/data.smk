rule pool:
    input:
        code=code("stages.pool"),
        images=image_files(PLAN.config),
    output:
        data=f"{RESULTS}/data/{{experiment}}/pool.npz",
        manifest=f"{RESULTS}/data/{{experiment}}/pool.manifest.json",
    log:
        f"{RESULTS}/logs/pool/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pool/{{experiment}}.tsv"
    priority: lambda w: FORESEEN.priority(f"pool/{w.experiment}")
    conda:
        conda_environment
    threads: 1
    resources:
        runtime=lambda w, attempt: FORESEEN.minutes(f"pool/{w.experiment}", attempt),
    params:
        job=lambda w: as_argument(PLAN.pool_parameters(w.experiment)),
    shell:
        "python -m infwidth.stages pool --params {params.job:q}"
        " --output data={output.data:q} --output manifest={output.manifest:q} --log {log:q}"


rule data:
    input:
        code=lambda w: code("stages.data", family_module(w.experiment)),
        pool=lambda w: pool_file(w.experiment),
        files=lambda w: own_files(w.experiment, w.part),
    output:
        data=f"{RESULTS}/data/{{experiment}}/{{part}}/{{cell}}.npz",
        manifest=f"{RESULTS}/data/{{experiment}}/{{part}}/{{cell}}.manifest.json",
    log:
        f"{RESULTS}/logs/data/{{experiment}}/{{part}}/{{cell}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/data/{{experiment}}/{{part}}/{{cell}}.tsv"
    priority: lambda w: FORESEEN.priority(f"data/{w.experiment}/{w.part}/{w.cell}")
    conda:
        conda_environment
    threads: 1
    resources:
        runtime=lambda w, attempt: FORESEEN.minutes(
            f"data/{w.experiment}/{w.part}/{w.cell}", attempt
        ),
    params:
        job=lambda w: as_argument(PLAN.data_parameters(w.experiment, w.cell, w.part)),
        pool=lambda w, input: [f"--input=pool={path}" for path in input.pool],
    shell:
        "python -m infwidth.stages data --params {params.job:q} {params.pool:q}"
        " --output data={output.data:q} --output manifest={output.manifest:q} --log {log:q}"
