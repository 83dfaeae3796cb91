# Systems of equations: trajectories of the solver, and what an operator makes of their initial states and forces.
rule trajectories:
    output:
        trajectories="<results>/{study}/trajectories/trajectories.h5",
        record="<results>/{study}/trajectories/trajectories.json",
    log:
        "<logs>/trajectories/{study}.log",
    benchmark:
        "<benchmarks>/trajectories/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of,
    params:
        trajectory_count=lambda wildcards: system_study(wildcards).trajectories,
        settings=lambda wildcards: system_study(wildcards).generated.model_dump_json(),
        version=OPERATE_VERSION,
    shell:
        "medidiff trajectories {output.trajectories} --count {params.trajectory_count} --record {output.record}"
        " --study {wildcards.study} --settings {params.settings:q} --log {log}"


rule operate:
    input:
        trajectories="<results>/{study}/trajectories/trajectories.h5",
        model=operator_of,
    output:
        predictions="<results>/{study}/operate/predictions.h5",
        record="<results>/{study}/operate/operate.json",
    log:
        "<logs>/operate/{study}.log",
    benchmark:
        "<benchmarks>/operate/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of_solver,
        gpu=cards_of_operator,
    params:
        settings=operate_of,
        version=OPERATE_VERSION,
    shell:
        "medidiff operate {input.trajectories} {output.predictions} --threads {threads} --record {output.record}"
        " --study {wildcards.study} --settings {params.settings:q} --log {log}"


rule super_resolve:
    input:
        trajectories="<results>/{study}/trajectories/trajectories.h5",
        model=operator_of,
    output:
        predictions="<results>/{study}/super-resolve/predictions.h5",
        record="<results>/{study}/super-resolve/super-resolve.json",
    log:
        "<logs>/super-resolve/{study}.log",
    benchmark:
        "<benchmarks>/super-resolve/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of_solver,
        gpu=cards_of_operator,
    params:
        settings=operate_of,
        version=OPERATE_VERSION,
    shell:
        "medidiff super-resolve {input.trajectories} {output.predictions} --threads {threads} --record {output.record}"
        " --study {wildcards.study} --settings {params.settings:q} --log {log}"


rule control:
    input:
        trajectories="<results>/{study}/trajectories/trajectories.h5",
        model=operator_of,
    output:
        predictions="<results>/{study}/control/predictions.h5",
        record="<results>/{study}/control/control.json",
    log:
        "<logs>/control/{study}.log",
    benchmark:
        "<benchmarks>/control/{study}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=memory_of_solver,
        gpu=cards_of_operator,
    params:
        trajectory_count=lambda wildcards: system_study(wildcards).controlled,
        settings=operate_of,
        version=OPERATE_VERSION,
    shell:
        "medidiff control {input.trajectories} {output.predictions} --count {params.trajectory_count} --threads {threads}"
        " --record {output.record} --study {wildcards.study} --settings {params.settings:q} --log {log}"
