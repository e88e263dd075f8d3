rule text:
    input:
        code=code("stages.text"),
        text=text_files(PLAN.config),
    output:
        data=f"{RESULTS}/data/{{experiment}}/tokens.npz",
        manifest=f"{RESULTS}/data/{{experiment}}/tokens.manifest.json",
    log:
        f"{RESULTS}/logs/text/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/text/{{experiment}}.tsv"
    priority: lambda w: FORESEEN.priority(f"text/{w.experiment}")
    conda:
        conda_environment
    threads: 1
    resources:
        runtime=lambda w, attempt: FORESEEN.minutes(f"text/{w.experiment}", attempt),
    params:
        job=lambda w: as_argument(STUDIES.text_parameters(w.experiment)),
    shell:
        "python -m infwidth.stages text --params {params.job:q}"
        " --output data={output.data:q} --output manifest={output.manifest:q} --log {log:q}"


rule language:
    input:
        code=code("stages.language"),
        data=f"{RESULTS}/data/{{experiment}}/tokens.npz",
        swept=lambda w: swept_table(w.experiment, w.cell),
    output:
        table=f"{RESULTS}/language/{{experiment}}/{{cell}}.csv",
        manifest=f"{RESULTS}/language/{{experiment}}/{{cell}}.manifest.json",
    log:
        f"{RESULTS}/logs/language/{{experiment}}/{{cell}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/language/{{experiment}}/{{cell}}.tsv"
    priority: lambda w: FORESEEN.priority(f"language/{w.experiment}/{w.cell}")
    conda:
        conda_environment
    threads: 1
    resources:
        runtime=lambda w, attempt: FORESEEN.minutes(
            f"language/{w.experiment}/{w.cell}", attempt
        ),
        gpu=lambda w: gpus(),
    params:
        job=lambda w: as_argument(STUDIES.parameters(w.experiment, w.cell)),
        swept=lambda w, input: [f"--input=swept={path}" for path in input.swept],
    shell:
        "python -m infwidth.stages language --params {params.job:q}"
        " --input data={input.data:q} {params.swept:q} --output table={output.table:q}"
        " --output manifest={output.manifest:q} --log {log:q}"


rule study:
    input:
        code=lambda w: code("stages.study", study_module(w.experiment)),
        files=lambda w: study_files(w.experiment),
    output:
        table=f"{RESULTS}/study/{{experiment}}/{{cell}}.csv",
        manifest=f"{RESULTS}/study/{{experiment}}/{{cell}}.manifest.json",
    log:
        f"{RESULTS}/logs/study/{{experiment}}/{{cell}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/study/{{experiment}}/{{cell}}.tsv"
    priority: lambda w: FORESEEN.priority(f"study/{w.experiment}/{w.cell}")
    conda:
        conda_environment
    threads: 1
    resources:
        runtime=lambda w, attempt: FORESEEN.minutes(
            f"study/{w.experiment}/{w.cell}", attempt
        ),
    params:
        job=lambda w: as_argument(STUDIES.parameters(w.experiment, w.cell)),
    shell:
        "python -m infwidth.stages study --params {params.job:q}"
        " --output table={output.table:q} --output manifest={output.manifest:q} --log {log:q}"
