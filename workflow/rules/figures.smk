rule figure:
    input:
        code=lambda w: code("stages.figure", f"figures.{w.figure}"),
        tables=lambda w: [
            f"{RESULTS}/tables/{experiment}.{kind}"
            for experiment in PLAN.figures[w.figure]
            for kind in ("csv", "npz")
        ],
    output:
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        png=f"{RESULTS}/figures/{{figure}}.png",
        csv=f"{RESULTS}/figures/{{figure}}.csv",
        manifest=f"{RESULTS}/figures/{{figure}}.manifest.json",
    log:
        f"{RESULTS}/logs/figure/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure/{{figure}}.tsv"
    wildcard_constraints:
        figure=r"(?!verdicts\.).+",
    conda:
        conda_environment
    threads: 1
    params:
        job=lambda w: as_argument(
            {
                "figure": w.figure,
                "titles": experiment_titles(PLAN.config, PLAN.figures[w.figure]),
            }
        ),
        tables=lambda w, input: numbered(input.tables),
    shell:
        "python -m infwidth.stages figure --params {params.job:q} {params.tables:q}"
        " --output pdf={output.pdf:q} --output png={output.png:q} --output csv={output.csv:q}"
        " --output manifest={output.manifest:q} --log {log:q}"
