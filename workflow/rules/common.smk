# Helpers of the rules. Every job of a cluster parses this again, so nothing heavy is imported here.
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from medidiff import config as settings
from medidiff import plan
from medidiff.acquisition.settings import RESULT_VERSION as ACQUIRE_VERSION
from medidiff.chromatography.settings import RESULT_VERSION as CHROMATOGRAPH_VERSION
from medidiff.dehazing.settings import RESULT_VERSION as DEHAZE_VERSION
from medidiff.errors import ConfigError
from medidiff.io.atomic import write_text
from medidiff.io.settings import RESULT_VERSION as CONVERT_VERSION
from medidiff.phantoms.recording_settings import RESULT_VERSION as ECHO_VERSION
from medidiff.operators.settings import RESULT_VERSION as OPERATE_VERSION
from medidiff.phantoms.settings import RESULT_VERSION as PATIENT_VERSION
from medidiff.phantoms.trace_settings import RESULT_VERSION as TRACE_VERSION
from medidiff.reconstruction.settings import RESULT_VERSION as RECONSTRUCT_VERSION
from medidiff.supervision import supervise
from medidiff.segmentation.settings import RESULT_VERSION as SEGMENT_VERSION

try:
    if not config:
        raise ConfigError(
            "no configuration; give one with --configfile. `medidiff run` lists the ready ones."
        )
    CONFIG = settings.load(
        config, name=", ".join(map(str, workflow.configfiles)) or "--config"
    )
    ALL_STUDIES = plan.studies_of(CONFIG)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

STUDIES = plan.usable(ALL_STUDIES)

# steps watch this process: when it is killed, they end instead of writing on as orphans
supervise()


NOT_SHOWN = ("phantom", "export", "maps", "page")  # steps whose record no page shows
NETWORKS = "|".join(plan.NETWORKS)  # methods with maps of probability and doubt


wildcard_constraints:
    study="(?!index\\.)[A-Za-z0-9-]+",  # report/index.html is no study
    method="[a-z0-9._-]+(?<!\\.seg)",


def source_of(wildcards):
    """What a study is read from; of a digital one the manifest, which is written last; nothing where only tables are."""
    if plan.is_digital(CONFIG, wildcards.study):
        return f"{CONFIG.folder('results')}/{wildcards.study}/phantom/manifest.json"
    return STUDIES[wildcards.study].path or []


def folder_of(wildcards):
    return STUDIES[wildcards.study].path


def series_of(wildcards):
    """Options that name the series and structures of a study where its table does."""
    study = STUDIES[wildcards.study]
    named = {"--ct": study.ct, "--pet": study.pet}
    return [
        part for option, value in named.items() if value for part in (option, value)
    ]


def truth_of(wildcards):
    truth = STUDIES[wildcards.study].truth
    return [] if truth in ("", "RTSTRUCT") else ["--structures", truth]


def phantom_source(wildcards):
    """Which kind of digital study it is, its settings, and the version of what makes it."""
    studies = CONFIG.studies
    makers = {
        "petct": (studies.phantoms, PATIENT_VERSION),
        "chromatogram": (studies.chromatograms, TRACE_VERSION),
        "echo": (studies.echoes, ECHO_VERSION),
    }
    return next(
        (kind, made[wildcards.study], version)
        for kind, (made, version) in makers.items()
        if wildcards.study in made
    )


def phantom_of(wildcards):
    return phantom_source(wildcards)[1].model_dump_json()


def phantom_kind(wildcards):
    return phantom_source(wildcards)[0]


def phantom_version(wildcards):
    return phantom_source(wildcards)[2]


def facts_of(wildcards):
    """What is stated of an ultrasound recording."""
    return plan.recording_facts(CONFIG, STUDIES[wildcards.study]).model_dump_json()


def dehazing_of(wildcards):
    """The part of the section that the method reads, so that a change reruns no other method."""
    chosen = plan.dehaze_settings(CONFIG, STUDIES[wildcards.study], wildcards.method)
    return chosen.model_dump_json()


def dehaze_model(wildcards):
    """The files of the model, where the method uses one."""
    chosen = plan.dehaze_settings(CONFIG, STUDIES[wildcards.study], wildcards.method)
    folder = chosen.joint or chosen.regress or chosen.conditional
    return (
        [f"{folder}/{name}" for name in ("card.json", "model.safetensors")]
        if folder
        else []
    )


def measured_of(wildcards):
    """The option that names a measured trace or table where there is one."""
    path = STUDIES[wildcards.study].path
    return ["--measured", path] if path else []


def programme_of(wildcards):
    """The section with this study's programme alone, so that a change reruns no other study."""
    programme = CONFIG.elute.programmes[wildcards.study]
    chosen = {"programmes": {wildcards.study: programme}}
    return CONFIG.elute.model_copy(update=chosen).model_dump_json()


def reading_of(wildcards):
    """The section on reading, with the values stated for this study alone."""
    stated = {
        name: values
        for name, values in CONFIG.convert.suv_overrides.items()
        if name == wildcards.study
    }
    return CONFIG.convert.model_copy(update={"suv_overrides": stated}).model_dump_json(
        exclude_none=True
    )


def object_of(wildcards):
    return STUDIES[wildcards.study].path or []


def object_option(wildcards):
    """The option that names the object of a scan where it is a file or a folder."""
    path = STUDIES[wildcards.study].path
    return ["--volume", path] if path else []


def scan_of(wildcards):
    return CONFIG.studies.scans[wildcards.study].model_dump_json()


def format_of(wildcards):
    return STUDIES[wildcards.study].more.get("format") or "auto"


def item_of(wildcards):
    return STUDIES[wildcards.study].more.get("item") or 0


def measurement_of(wildcards):
    step = "simulate" if plan.is_simulated(CONFIG, wildcards.study) else "acquire"
    return f"{CONFIG.folder('results')}/{wildcards.study}/{step}/measurement.h5"


def reference_of(wildcards):
    """The simulated object, the image inside raw data, or the volume that the study table names."""
    study = STUDIES[wildcards.study]
    if plan.is_simulated(CONFIG, wildcards.study):
        return f"{CONFIG.folder('results')}/{wildcards.study}/simulate/reference.nii.gz"
    if plan.has_reference_inside(CONFIG, study):
        return (
            f"{CONFIG.folder('results')}/{wildcards.study}/reference/reference.nii.gz"
        )
    path = Path(study.path)
    return str((path if path.is_dir() else path.parent) / study.truth)


def prior_of(wildcards):
    """The files of the prior, where the method uses one."""
    folder = plan.solver_settings(
        CONFIG, STUDIES[wildcards.study], wildcards.method
    ).prior
    files = ("card.json", "model.safetensors")
    return [f"{folder}/{name}" for name in files] if folder else []


def calibrations_of(wildcards):
    """The files that say how far samples can be trusted, where the method has samples."""
    has_samples = plan.has_samples(CONFIG, STUDIES[wildcards.study], wildcards.method)
    return CONFIG.reconstruct.calibrations if has_samples else []


def calibration_options(wildcards):
    return [
        part for path in calibrations_of(wildcards) for part in ("--calibration", path)
    ]


def slab_of(wildcards):
    return plan.slab_of(CONFIG, STUDIES[wildcards.study], wildcards.method)


def solver_of(wildcards):
    """The part of the section that the method reads, so that a change reruns no other method."""
    chosen = plan.solver_settings(CONFIG, STUDIES[wildcards.study], wildcards.method)
    return chosen.model_dump_json()


def series_folder(wildcards):
    """Where the DICOM files of a volume go; their record, which is written last, says that they are whole."""
    return f"{CONFIG.folder('results')}/{wildcards.study}/series/{wildcards.method}"


def kind_of(wildcards):
    return STUDIES[wildcards.study].kind


def window_of(wildcards):
    return getattr(CONFIG.reconstruct, kind_of(wildcards)).window_hu


def system_study(wildcards):
    return CONFIG.studies.systems[wildcards.study]


def operate_of(wildcards):
    return plan.operate_settings(CONFIG, wildcards.study).model_dump_json()


def operator_of(wildcards):
    """The files of a system's operator."""
    folder = system_study(wildcards).operate.model
    return [f"{folder}/{name}" for name in ("card.json", "model.safetensors")]


def results_of(wildcards):
    """The records that a study's page shows: every step but those that only hand a result on."""
    jobs = plan.jobs(CONFIG, {wildcards.study: STUDIES[wildcards.study]})
    return [str(job.record) for job in jobs if job.step not in NOT_SHOWN]


def results_folder(wildcards):
    return CONFIG.folder("results")


def logs_folder(wildcards):
    return CONFIG.folder("logs")


def settings_of(wildcards):
    """The part of the section that the method reads, so that a change reruns no other method."""
    return CONFIG.segment.model_dump_json(include={"grid", wildcards.method})


def network_settings_of(wildcards):
    """The part of the section that a network reads, so that a change reruns no other method."""
    read = {"grid", "threshold", "windows", "watershed", wildcards.method}
    return plan.network_settings(CONFIG).model_dump_json(include=read)


def cards_of_network(wildcards):
    """Cards to reserve: one where CUDA is asked for; `auto` takes what it finds."""
    return int(plan.network_settings(CONFIG).windows.device == "cuda")


def cards_of_operator(wildcards):
    """The same of a system's operator."""
    return int(plan.operate_settings(CONFIG, wildcards.study).device == "cuda")


def model_of(wildcards):
    folder = getattr(CONFIG.segment, wildcards.method).model
    return [f"{folder}/{name}" for name in ("card.json", "model.safetensors")]


def memory_of_network(wildcards, input, attempt):
    """MB: volumes above segment.windows.max_memory_gb go to disk; program, weights and input come on top."""
    budget = 1000 * CONFIG.segment.windows.max_memory_gb
    return int(max(budget + 1000, 6 * input.size_mb)) * attempt


def records(wildcards):
    """Every result by name: a page written for a failed study must not hide that its results are missing."""
    return [str(job.record) for job in plan.jobs(CONFIG, STUDIES) if job.step != "page"]


def pages(wildcards):
    return [str(job.record) for job in plan.jobs(CONFIG, STUDIES) if job.step == "page"]


def named_studies():
    """For the index, what it lists: the study table, or the names where there is none.

    A table goes by its path, since no command line has room for all its names.
    """
    table = CONFIG.studies.table
    return ["--studies", table] if table else list(ALL_STUDIES)


def memory_of(wildcards, input, attempt):
    """MB: six copies of the input, at least 4 GB, more at every attempt."""
    return max(4000, 6 * int(input.size_mb)) * attempt


def memory_of_solver(wildcards, input, attempt):
    """MB: a measurement is stored compressed, and a solver holds some ten copies of its volume and the network's layers."""
    return max(4000, 60 * int(input.size_mb)) * attempt


def report_what_exists():
    resolved = Path(CONFIG.folder("results")) / "config.json"
    write_text(resolved, CONFIG.model_dump_json(indent=1))
    subprocess.run([sys.executable, "-m", "medidiff", "report", str(resolved)])


def announce():
    print(
        f"Report: {Path(CONFIG.folder('results')).absolute() / 'report' / 'index.html'}",
        file=sys.stderr,
    )
