# Digital patients, written as genuine DICOM: CT, PET and RTSTRUCT.
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
        settings=phantom_of,
        version=PHANTOM_VERSION,
    shell:
        "medidiff phantom petct {output.manifest} --study {wildcards.study}"
        " --settings {params.settings:q} --log {log}"
