# Ultrasound without haze: the result with the haze that was removed, clips to look at, and figures.
rule dehaze:
    input:
        source_of,
        model=dehaze_model,
    output:
        result="<results>/{study}/dehaze/{method}.hdf5",
        record="<results>/{study}/dehaze/{method}.json",
    log:
        "<logs>/dehaze/{study}_{method}.log",
    benchmark:
        "<benchmarks>/dehaze/{study}_{method}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of_solver,
    params:
        recording=folder_of,
        facts=facts_of,
        bmode=CONFIG.dehaze.bmode.model_dump_json(),
        settings=dehazing_of,
        version=DEHAZE_VERSION,
    shell:
        "medidiff dehaze {params.recording:q} {output.result} --method {wildcards.method} --facts {params.facts:q}"
        " --bmode {params.bmode:q} --record {output.record} --study {wildcards.study} --settings {params.settings:q}"
        " --log {log}"


rule cine:
    input:
        source_of,
        result="<results>/{study}/dehaze/{method}.hdf5",
    output:
        gif="<results>/{study}/cine/{method}.gif",
        clip="<results>/{study}/cine/{method}.dcm",
        record="<results>/{study}/cine/{method}.json",
    log:
        "<logs>/cine/{study}_{method}.log",
    benchmark:
        "<benchmarks>/cine/{study}_{method}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of_solver,
    params:
        recording=folder_of,
        facts=facts_of,
        bmode=CONFIG.dehaze.bmode.model_dump_json(),
        version=DEHAZE_VERSION,
    shell:
        "medidiff cine {input.result} {params.recording:q} {output.gif} {output.clip} --method {wildcards.method}"
        " --facts {params.facts:q} --bmode {params.bmode:q} --record {output.record} --study {wildcards.study} --log {log}"


# `score` alone reads the truth of a generated scan, so that no method can see it
rule score:
    input:
        source_of,
        result="<results>/{study}/dehaze/{method}.hdf5",
    output:
        record="<results>/{study}/score/{method}.json",
    log:
        "<logs>/score/{study}_{method}.log",
    benchmark:
        "<benchmarks>/score/{study}_{method}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of_solver,
    params:
        recording=folder_of,
        facts=facts_of,
        version=DEHAZE_VERSION,
    shell:
        "medidiff score {input.result} {params.recording:q} --method {wildcards.method} --facts {params.facts:q}"
        " --record {output.record} --study {wildcards.study} --log {log}"
