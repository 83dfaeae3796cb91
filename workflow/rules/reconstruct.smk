# Volumes of measurements. `compare` alone may read a reference, so that no solver can see it.
rule reconstruct:
    input:
        measurement=measurement_of,
        prior=prior_of,
        calibrations=calibrations_of,
    output:
        volume="<results>/{study}/reconstruct/{method}.nii.gz",
        maps="<results>/{study}/reconstruct/{method}.h5",
        record="<results>/{study}/reconstruct/{method}.json",
    log:
        "<logs>/reconstruct/{study}_{method}.log",
    benchmark:
        "<benchmarks>/reconstruct/{study}_{method}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of_solver,
    params:
        calibrations=calibration_options,
        level=CONFIG.reconstruct.level,
        slab=slab_of,
        settings=solver_of,
        version=RECONSTRUCT_VERSION,
    shell:
        "medidiff reconstruct {input.measurement} {output.volume} {output.maps} --method {wildcards.method}"
        " {params.calibrations:q} --level {params.level} --slab {params.slab} --threads {threads} --record {output.record} --study {wildcards.study} --settings {params.settings:q}"
        " --log {log}"


rule compare:
    input:
        volume="<results>/{study}/reconstruct/{method}.nii.gz",
        maps="<results>/{study}/reconstruct/{method}.h5",
        reference=reference_of,
    output:
        difference="<results>/{study}/compare/{method}.nii.gz",
        record="<results>/{study}/compare/{method}.json",
    log:
        "<logs>/compare/{study}_{method}.log",
    benchmark:
        "<benchmarks>/compare/{study}_{method}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        kind=kind_of,
        window=window_of,
        version=RECONSTRUCT_VERSION,
    shell:
        "medidiff compare {input.volume} {input.reference:q} {output.difference} --maps {input.maps}"
        " --kind {params.kind} --window-hu {params.window} --method {wildcards.method} --record {output.record}"
        " --study {wildcards.study} --log {log}"


rule series:
    input:
        volume="<results>/{study}/reconstruct/{method}.nii.gz",
    output:
        record="<results>/{study}/series/{method}.json",
    log:
        "<logs>/series/{study}_{method}.log",
    benchmark:
        "<benchmarks>/series/{study}_{method}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        folder=series_folder,
        kind=kind_of,
        version=RECONSTRUCT_VERSION,
    shell:
        "medidiff series {input.volume} {params.folder:q} --kind {params.kind} --method {wildcards.method} --record {output.record}"
        " --study {wildcards.study} --log {log}"
