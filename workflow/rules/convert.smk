# From files of a scanner to volumes in HU and SUV, and reference contours to masks on both grids.
rule convert:
    input:
        source_of,
    output:
        ct="<results>/{study}/convert/ct.nii.gz",
        pet="<results>/{study}/convert/pet.nii.gz",
        record="<results>/{study}/convert/convert.json",
    log:
        "<logs>/convert/{study}.log",
    benchmark:
        "<benchmarks>/convert/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        folder=folder_of,
        series=series_of,
        settings=reading_of,
        version=CONVERT_VERSION,
    shell:
        "medidiff convert {params.folder:q} {output.ct} {output.pet} --record {output.record}"
        " --study {wildcards.study} {params.series:q} --settings {params.settings:q} --log {log}"


rule truth:
    input:
        source_of,
        ct="<results>/{study}/convert/ct.nii.gz",
        pet="<results>/{study}/convert/pet.nii.gz",
    output:
        ct="<results>/{study}/convert/truth_ct.nii.gz",
        pet="<results>/{study}/convert/truth_pet.nii.gz",
        record="<results>/{study}/convert/truth.json",
    log:
        "<logs>/truth/{study}.log",
    benchmark:
        "<benchmarks>/truth/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        folder=folder_of,
        series=series_of,
        structures=truth_of,
        settings=reading_of,
        version=CONVERT_VERSION,
    shell:
        "medidiff truth {params.folder:q} {output.ct} {output.pet} --record {output.record}"
        " --study {wildcards.study} {params.series:q} {params.structures:q}"
        " --settings {params.settings:q} --log {log}"
