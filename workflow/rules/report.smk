rule report:
    input:
        code=code("stages.report"),
        templates=report_templates(),
        shown=report_inputs(),
    output:
        page=f"{RESULTS}/index.html",
        manifest=f"{RESULTS}/index.manifest.json",
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        conda_environment
    threads: 1
    params:
        job=lambda w: as_argument(report_parameters(PLAN)),
        shown=lambda w, input: numbered(input.shown),
    shell:
        "python -m infwidth.stages report --params {params.job:q} {params.shown:q}"
        " --output page={output.page:q} --output manifest={output.manifest:q} --log {log:q}"
