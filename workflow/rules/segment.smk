# Masks, probabilities and doubt, and their way back to DICOM on the grid of the source series.
rule segment:
    input:
        ct="<results>/{study}/convert/ct.nii.gz",
        pet="<results>/{study}/convert/pet.nii.gz",
    output:
        mask="<results>/{study}/segment/{method}.nii.gz",
        record="<results>/{study}/segment/{method}.json",
    log:
        "<logs>/segment/{study}_{method}.log",
    benchmark:
        "<benchmarks>/segment/{study}_{method}.tsv"
    wildcard_constraints:
        method=r"suv\d+(\.\d+)?|percent\d+|watershed",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        settings=settings_of,
        version=SEGMENT_VERSION,
    shell:
        "medidiff segment {input.ct} {input.pet} {output.mask} --method {wildcards.method}"
        " --record {output.record} --study {wildcards.study} --settings {params.settings:q} --log {log}"


rule segment_by_network:
    input:
        model_of,
        ct="<results>/{study}/convert/ct.nii.gz",
        pet="<results>/{study}/convert/pet.nii.gz",
    output:
        mask="<results>/{study}/segment/{method}.nii.gz",
        probability="<results>/{study}/segment/{method}.probability.nii.gz",
        entropy="<results>/{study}/segment/{method}.entropy.nii.gz",
        maps="<results>/{study}/segment/{method}.maps.h5",
        record="<results>/{study}/segment/{method}.json",
    log:
        "<logs>/segment/{study}_{method}.log",
    benchmark:
        "<benchmarks>/segment/{study}_{method}.tsv"
    wildcard_constraints:
        method=NETWORKS,
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of_network,
        gpu=cards_of_network,
    params:
        settings=network_settings_of,
        version=SEGMENT_VERSION,
    shell:
        "medidiff segment {input.ct} {input.pet} {output.mask} --method {wildcards.method}"
        " --probability {output.probability} --entropy {output.entropy} --maps {output.maps}"
        " --record {output.record} --study {wildcards.study} --settings {params.settings:q} --log {log}"


rule maps:
    input:
        source_of,
        probability="<results>/{study}/segment/{method}.probability.nii.gz",
        entropy="<results>/{study}/segment/{method}.entropy.nii.gz",
    output:
        probability="<results>/{study}/segment/{method}.probability.dcm",
        entropy="<results>/{study}/segment/{method}.entropy.dcm",
        record="<results>/{study}/segment/{method}.maps.json",
    log:
        "<logs>/maps/{study}_{method}.log",
    benchmark:
        "<benchmarks>/maps/{study}_{method}.tsv"
    wildcard_constraints:
        method=NETWORKS,
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        folder=folder_of,
        series=series_of,
        grid=CONFIG.segment.grid,
        version=SEGMENT_VERSION,
    shell:
        "medidiff maps {input.probability} {input.entropy} {params.folder:q} {output.probability} {output.entropy}"
        " --method {wildcards.method} --grid {params.grid}"
        " --record {output.record} --study {wildcards.study} {params.series:q} --log {log}"


rule export:
    input:
        source_of,
        mask="<results>/{study}/segment/{method}.nii.gz",
    output:
        seg="<results>/{study}/segment/{method}.seg.dcm",
        record="<results>/{study}/segment/{method}.seg.json",
    log:
        "<logs>/export/{study}_{method}.log",
    benchmark:
        "<benchmarks>/export/{study}_{method}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        folder=folder_of,
        series=series_of,
        grid=CONFIG.segment.grid,
        version=SEGMENT_VERSION,
    shell:
        "medidiff export {input.mask} {params.folder:q} {output.seg} --method {wildcards.method}"
        " --grid {params.grid}"
        " --record {output.record} --study {wildcards.study} {params.series:q} --log {log}"
