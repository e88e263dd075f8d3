rule source:
    input:
        code=lambda w: code("stages.source", trainer_module(w.experiment)),
        data=lambda w: source_data(
            w.experiment, PLAN.source_cells(w.experiment)[w.cell]
        ),
    output:
        networks=f"{RESULTS}/source/{{experiment}}/{{cell}}.npz",
        manifest=f"{RESULTS}/source/{{experiment}}/{{cell}}.manifest.json",
    log:
        f"{RESULTS}/logs/source/{{experiment}}/{{cell}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/source/{{experiment}}/{{cell}}.tsv"
    priority: lambda w: FORESEEN.priority(f"source/{w.experiment}/{w.cell}")
    conda:
        conda_environment
    threads: 1
    resources:
        runtime=lambda w, attempt: FORESEEN.minutes(
            f"source/{w.experiment}/{w.cell}", attempt
        ),
        gpu=lambda w: gpus(),
    params:
        job=lambda w: as_argument(PLAN.source_parameters(w.experiment, w.cell)),
    shell:
        "python -m infwidth.stages source --params {params.job:q} --input data={input.data:q}"
        " --output networks={output.networks:q} --output manifest={output.manifest:q} --log {log:q}"


rule target:
    input:
        code=lambda w: code("stages.target", trainer_module(w.experiment)),
        networks=lambda w: source_networks(
            w.experiment, PLAN.network_cells(w.experiment)[w.cell]
        ),
        data=lambda w: target_data(
            w.experiment, PLAN.network_cells(w.experiment)[w.cell]
        ),
        source_data=lambda w: shown_source_data(w.experiment, w.cell),
    output:
        table=f"{RESULTS}/target/{{experiment}}/{{cell}}.csv",
        arrays=f"{RESULTS}/target/{{experiment}}/{{cell}}.npz",
        manifest=f"{RESULTS}/target/{{experiment}}/{{cell}}.manifest.json",
    log:
        f"{RESULTS}/logs/target/{{experiment}}/{{cell}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/target/{{experiment}}/{{cell}}.tsv"
    priority: lambda w: FORESEEN.priority(f"target/{w.experiment}/{w.cell}")
    conda:
        conda_environment
    threads: 1
    resources:
        runtime=lambda w, attempt: FORESEEN.minutes(
            f"target/{w.experiment}/{w.cell}", attempt
        ),
        gpu=lambda w: gpus(),
    params:
        job=lambda w: as_argument(PLAN.network_parameters(w.experiment, w.cell)),
        source_data=lambda w, input: [
            f"--input=source_data={path}" for path in input.source_data
        ],
    shell:
        "python -m infwidth.stages target --params {params.job:q}"
        " --input networks={input.networks:q} --input data={input.data:q} {params.source_data:q}"
        " --output table={output.table:q} --output arrays={output.arrays:q} --output manifest={output.manifest:q} --log {log:q}"
