rule theory:
    input:
        code=lambda w: code("stages.theory", theory_module(w.experiment)),
        source=lambda w: source_data(
            w.experiment, PLAN.theory_cells(w.experiment)[w.cell]
        ),
        target=lambda w: target_data(
            w.experiment, PLAN.theory_cells(w.experiment)[w.cell]
        ),
    output:
        table=f"{RESULTS}/theory/{{experiment}}/{{cell}}.csv",
        arrays=f"{RESULTS}/theory/{{experiment}}/{{cell}}.npz",
        manifest=f"{RESULTS}/theory/{{experiment}}/{{cell}}.manifest.json",
    log:
        f"{RESULTS}/logs/theory/{{experiment}}/{{cell}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/theory/{{experiment}}/{{cell}}.tsv"
    priority: lambda w: FORESEEN.priority(f"theory/{w.experiment}/{w.cell}")
    conda:
        conda_environment
    threads: 1
    resources:
        runtime=lambda w, attempt: FORESEEN.minutes(
            f"theory/{w.experiment}/{w.cell}", attempt
        ),
        gpu=lambda w: gpus() if PLAN.has_particles(w.experiment) else 0,
    params:
        job=lambda w: as_argument(PLAN.theory_parameters(w.experiment, w.cell)),
    shell:
        "python -m infwidth.stages theory --params {params.job:q}"
        " --input source={input.source:q} --input target={input.target:q}"
        " --output table={output.table:q} --output arrays={output.arrays:q}"
        " --output manifest={output.manifest:q} --log {log:q}"


rule collect:
    input:
        code=code("stages.collect"),
        parts=lambda w: table_parts(w.experiment),
    output:
        table=f"{RESULTS}/tables/{{experiment}}.csv",
        arrays=f"{RESULTS}/tables/{{experiment}}.npz",
        manifest=f"{RESULTS}/tables/{{experiment}}.manifest.json",
    log:
        f"{RESULTS}/logs/collect/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect/{{experiment}}.tsv"
    conda:
        conda_environment
    threads: 1
    params:
        job=lambda w: as_argument(PLAN.collect_parameters(w.experiment)),
        parts=lambda w, input: numbered(input.parts),
    shell:
        "python -m infwidth.stages collect --params {params.job:q} {params.parts:q}"
        " --output table={output.table:q} --output arrays={output.arrays:q} --output manifest={output.manifest:q} --log {log:q}"
