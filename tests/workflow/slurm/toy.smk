# jobs that misbehave
rule all:
    input: "out/hungry", "out/slow", "out/cancelled", expand("out/{c}.infer", c=["a", "b"])
rule hungry:
    output: "out/hungry"
    resources: mem_mb=lambda wc, attempt: 400 if attempt == 1 else 1500, runtime=2
    shell: "python -c 'import time; x = bytearray(700_000_000); time.sleep(12)' && echo {resources.mem_mb} > {output}"
rule slow:
    output: "out/slow"
    resources: mem_mb=400, runtime=lambda wc, attempt: attempt
    shell: "test {resources.runtime} != 1 || sleep 200; echo ok > {output}"
rule cancelled:
    output: "out/cancelled"
    resources: mem_mb=400, runtime=2
    shell: "echo $SLURM_JOB_ID >> cancelled; test $(wc -l < cancelled) != 1 || (scancel $SLURM_JOB_ID; sleep 60); echo ok > {output}"
rule infer:
    output: "out/{c}.infer"
    group: "infer"
    resources: mem_mb=400, runtime=2, gpu=1, slurm_partition="gpu"
    shell: "echo $SLURM_JOB_ID $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES > {output}"
rule doomed:
    output: "out/doomed"
    resources: mem_mb=400, runtime=2
    shell: "echo partial > {output}; echo $SLURM_JOB_ID >> attempts; exit 3"
