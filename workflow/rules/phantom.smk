# Digital patients as genuine DICOM, digital chromatograms as an instrument writes them, and ultrasound scans of known truth.
rule phantom:
    output:
        manifest="<results>/{study}/phantom/manifest.json",
    log:
        "<logs>/phantom/{study}.log",
    benchmark:
        "<benchmarks>/phantom/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        kind=phantom_kind,
        settings=phantom_of,
        version=phantom_version,
    shell:
        "medidiff phantom {params.kind} {output.manifest} --study {wildcards.study}"
        " --settings {params.settings:q} --log {log}"
