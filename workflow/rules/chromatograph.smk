# Chromatograms: one trace fitted, one temperature programme predicted.
rule chromatograph:
    input:
        source_of,
    output:
        curves="<results>/{study}/chromatograph/curves.h5",
        record="<results>/{study}/chromatograph/chromatograph.json",
    log:
        "<logs>/chromatograph/{study}.log",
    benchmark:
        "<benchmarks>/chromatograph/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        trace=folder_of,
        seed=CONFIG.seed,
        settings=CONFIG.chromatograph.model_dump_json(),
        version=CHROMATOGRAPH_VERSION,
    shell:
        "medidiff chromatograph {params.trace:q} {output.curves} --record {output.record} --seed {params.seed}"
        " --study {wildcards.study} --settings {params.settings:q} --log {log}"


rule elute:
    input:
        source_of,
    output:
        curves="<results>/{study}/elute/curves.h5",
        record="<results>/{study}/elute/elute.json",
    log:
        "<logs>/elute/{study}.log",
    benchmark:
        "<benchmarks>/elute/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        measured=measured_of,
        settings=programme_of,
        version=CHROMATOGRAPH_VERSION,
    shell:
        "medidiff elute {output.curves} {params.measured:q} --record {output.record} --study {wildcards.study}"
        " --settings {params.settings:q} --log {log}"
