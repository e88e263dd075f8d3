rule judge:
    input:
        code=code("stages.judge"),
        table=f"{RESULTS}/tables/{{experiment}}.csv",
    output:
        verdicts=f"{RESULTS}/claims/{{experiment}}.json",
        manifest=f"{RESULTS}/claims/{{experiment}}.manifest.json",
    log:
        f"{RESULTS}/logs/judge/{{experiment}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/judge/{{experiment}}.tsv"
    conda:
        conda_environment
    threads: 1
    params:
        job=lambda w: as_argument(judge_parameters(w.experiment)),
    shell:
        "python -m infwidth.stages judge --params {params.job:q} --input table={input.table:q}"
        " --output verdicts={output.verdicts:q} --output manifest={output.manifest:q} --log {log:q}"


rule claims:
    input:
        code=code("stages.claims"),
        verdicts=expand(
            f"{RESULTS}/claims/{{experiment}}.json",
            experiment=PLAN.experiments + PLAN.studies,
        ),
    output:
        json=f"{RESULTS}/claims.json",
        manifest=f"{RESULTS}/claims.manifest.json",
        markdown=f"{RESULTS}/claims.md",
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims.tsv"
    conda:
        conda_environment
    threads: 1
    params:
        verdicts=lambda w, input: numbered(input.verdicts),
    shell:
        "python -m infwidth.stages claims {params.verdicts:q}"
        " --output json={output.json:q} --output markdown={output.markdown:q}"
        " --output manifest={output.manifest:q} --log {log:q}"


rule verdicts:
    input:
        code=code("stages.verdicts"),
        claims=f"{RESULTS}/claims.json",
    output:
        pdf=f"{RESULTS}/figures/verdicts.pdf",
        png=f"{RESULTS}/figures/verdicts.png",
        csv=f"{RESULTS}/figures/verdicts.csv",
        manifest=f"{RESULTS}/figures/verdicts.manifest.json",
    log:
        f"{RESULTS}/logs/verdicts.log",
    benchmark:
        f"{RESULTS}/benchmarks/verdicts.tsv"
    conda:
        conda_environment
    threads: 1
    shell:
        "python -m infwidth.stages verdicts --input claims={input.claims:q}"
        " --output pdf={output.pdf:q} --output png={output.png:q} --output csv={output.csv:q}"
        " --output manifest={output.manifest:q} --log {log:q}"
