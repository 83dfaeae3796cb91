# Measurements: simulated of a known object, or read from raw data.
rule simulate:
    input:
        object_of,
    output:
        measurement="<results>/{study}/simulate/measurement.h5",
        reference="<results>/{study}/simulate/reference.nii.gz",
        record="<results>/{study}/simulate/simulate.json",
    log:
        "<logs>/simulate/{study}.log",
    benchmark:
        "<benchmarks>/simulate/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        volume=object_option,
        settings=scan_of,
        version=ACQUIRE_VERSION,
    shell:
        "medidiff simulate {output.measurement} {output.reference} {params.volume:q} --record {output.record}"
        " --study {wildcards.study} --settings {params.settings:q} --log {log}"


rule acquire:
    input:
        source_of,
    output:
        measurement="<results>/{study}/acquire/measurement.h5",
        record="<results>/{study}/acquire/acquire.json",
    log:
        "<logs>/acquire/{study}.log",
    benchmark:
        "<benchmarks>/acquire/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        folder=folder_of,
        format=format_of,
        item=item_of,
        version=ACQUIRE_VERSION,
    shell:
        "medidiff acquire {params.folder:q} {output.measurement} --format {params.format:q} --item {params.item}"
        " --record {output.record} --study {wildcards.study} --log {log}"


rule reference:
    input:
        source_of,
    output:
        reference="<results>/{study}/reference/reference.nii.gz",
        record="<results>/{study}/reference/reference.json",
    log:
        "<logs>/reference/{study}.log",
    benchmark:
        "<benchmarks>/reference/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        folder=folder_of,
        format=format_of,
        item=item_of,
        version=ACQUIRE_VERSION,
    shell:
        "medidiff reference {params.folder:q} {output.reference} --format {params.format:q} --item {params.item}"
        " --record {output.record} --study {wildcards.study} --log {log}"
