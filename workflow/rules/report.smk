# One page per study and an index of all.
rule page:
    input:
        results_of,
    output:
        page=report(
            "<results>/report/{study}.html",
            category="Studies",
            caption="../report/study.rst",
            labels={"study": "{study}"},
        ),
    log:
        "<logs>/page/{study}.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        results=results_folder,
        logs=logs_folder,
    shell:
        "medidiff page {params.results:q} {params.logs:q} {output.page} --study {wildcards.study} --log {log}"


rule index:
    input:
        pages,
        table=CONFIG.studies.table or [],
    output:
        page=report(
            "<results>/report/index.html",
            category="Overview",
            caption="../report/index.rst",
        ),
        table="<results>/report/summary.tsv",
    log:
        "<logs>/index/index.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        results=results_folder,
        logs=logs_folder,
        title=CONFIG.title,
        studies=named_studies(),
    shell:
        "medidiff index {params.results:q} {params.logs:q} {output.page} {output.table} --title {params.title:q}"
        " --log {log} {params.studies:q}"
