# One page per study and an index of all.
rule page:
    input:
        results_of("convert"),
        results_of("truth"),
        results_of("segment"),
        results_of("evaluate"),
        results_of("chromatograph"),
        results_of("elute"),
        results_of("simulate"),
        results_of("acquire"),
        results_of("reference"),
        results_of("reconstruct"),
        results_of("series"),
        results_of("compare"),
        results_of("trajectories"),
        results_of("operate"),
        results_of("super-resolve"),
        results_of("control"),
        results_of("dehaze"),
        results_of("cine"),
        results_of("score"),
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
        studies=list(ALL_STUDIES),
    shell:
        "medidiff index {params.results:q} {params.logs:q} {output.page} {output.table} --title {params.title:q}"
        " --log {log} {params.studies:q}"
