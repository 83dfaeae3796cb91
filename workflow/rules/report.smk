# One page per study and an index of all.
rule page:
    input:
        results_of("convert"),
        results_of("truth"),
        results_of("segment"),
        results_of("evaluate"),
    output:
        page=report(
            "<results>/report/{study}.html",
            category="Studies",
            caption="../report/study.rst",
            labels={"study": "{study}"},
        ),
    log:
        "<logs>/page/{study}.log",
    params:
        results=CONFIG.folder("results"),
        logs=CONFIG.folder("logs"),
    threads: 1
    resources:
        mem_mb=memory_of,
    conda:
        "../../environment.yml"
    shell:
        "medidiff page {params.results:q} {params.logs:q} {output.page} --study {wildcards.study} --log {log}"


rule index:
    input:
        pages,
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
    params:
        results=CONFIG.folder("results"),
        logs=CONFIG.folder("logs"),
        title=CONFIG.title,
        studies=list(ALL_STUDIES),
    conda:
        "../../environment.yml"
    shell:
        "medidiff index {params.results:q} {params.logs:q} {output.page} {output.table} --title {params.title:q}"
        " --log {log} {params.studies:q}"
