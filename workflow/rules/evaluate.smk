# Masks against the reference.
rule evaluate:
    input:
        mask="<results>/{study}/segment/{method}.nii.gz",
        truth="<results>/{study}/convert/truth_pet.nii.gz",
    output:
        record="<results>/{study}/evaluate/{method}.json",
    log:
        "<logs>/evaluate/{study}_{method}.log",
    benchmark:
        "<benchmarks>/evaluate/{study}_{method}.tsv"
    params:
        version=SEGMENT_VERSION,
    threads: 1
    resources:
        mem_mb=memory_of,
    conda:
        "../../environment.yml"
    shell:
        "medidiff evaluate {input.mask} {input.truth} --record {output.record} --method {wildcards.method}"
        " --study {wildcards.study} --log {log}"
