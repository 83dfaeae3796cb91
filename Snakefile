# medidiff: studies in, results and a report out. `snakemake -n --configfile configs/demo.yaml` shows what would run;
# configs/ holds ready configurations. There is no `configfile:` here: a user's configuration must not inherit the demo's.
from snakemake.utils import min_version

min_version("9.17")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/phantom.smk"
include: "workflow/rules/convert.smk"
include: "workflow/rules/segment.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/chromatograph.smk"
include: "workflow/rules/acquire.smk"
include: "workflow/rules/reconstruct.smk"
include: "workflow/rules/dehaze.smk"
include: "workflow/rules/operate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "<results>/report/index.html",
        records,


onsuccess:
    announce()


# failed studies get their page too, with the error and the command that repeats it
onerror:
    report_what_exists()
