# Masks against the reference.
rule evaluate:
    input:
        mask="<results>/{study}/segment/{method}.nii.gz",
        truth=f"<results>/{{study}}/convert/truth_{CONFIG.segment.grid}.nii.gz",
    output:
        record="<results>/{study}/evaluate/{method}.json",
    log:
        "<logs>/evaluate/{study}_{method}.log",
    benchmark:
        "<benchmarks>/evaluate/{study}_{method}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        version=SEGMENT_VERSION,
    shell:
        "medidiff evaluate {input.mask} {input.truth} --record {output.record} --method {wildcards.method}"
        " --study {wildcards.study} --log {log}"
