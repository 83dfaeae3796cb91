"""Which studies a configuration names, and which results the workflow makes of each."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from medidiff.acquisition.settings import GENERATED, INSIDE, RawScan, ScanSettings
from medidiff.config import Config, StudySource
from medidiff.datasets import locate
from medidiff.dehazing.settings import NEED_MODEL, DehazeSettings
from medidiff.errors import ConfigError
from medidiff.io.ultrasound.settings import PACKAGED, RecordingFacts, RecordingSource
from medidiff.operators.settings import OperateSettings
from medidiff.operators.study_settings import OperatorStudy
from medidiff.phantoms.recording_settings import FILE as SCAN_FILE
from medidiff.reconstruction.settings import NEED_PRIOR, ReconstructSettings
from medidiff.segmentation.settings import NETWORKS, SegmentSettings
from medidiff.studies import Study, read_studies

PIPELINES = ("petct", "lc", "pde", "ct", "mr", "us")  # kinds of study that have one
DEFAULTS = ReconstructSettings()
SECTIONS = {"fbp", "iterative", "tv", "nadds", "dds", "mbir", "reddiff", "dps", "diffpir", "heldout"}
IN_SLABS = {"fbp", "sirt", "cgls", "tv", "nadds"}  # methods of CT that can work on a few slices at a time
READS = {  # sections that a method reads; those without a line here read all
    "fbp": {"fbp"},
    **{name: {"iterative"} for name in ("sirt", "cgls", "cgsense")},
    "zerofilled": set(),
    "tv": {"tv", "heldout"},
    **{name: {name} for name in ("nadds", "dds", "mbir", "reddiff")},
    **{f"deepinv-{name}": {name} for name in ("dps", "diffpir")},
    "auto": {"tv", "heldout", "nadds"},
}
DEHAZE_DEFAULTS = DehazeSettings()
DEHAZE_SECTIONS = {"split_gibbs", "warm_start", "projection", "guided", "conditional_sampler"}  # the others are read by all
DEHAZE_READS = {
    "split_gibbs": {"split_gibbs", "warm_start"},
    "projection": {"projection"},
    "dps": {"guided"},
    "pigdm": {"guided"},
    "conditional": {"conditional_sampler"},
}
PICTURES = (".dcm", ".mha")  # recordings of grey levels
MEASUREMENTS = (".h5", ".hdf5", ".mrd")  # files of a CT or MR study that need no `format` in the study table


@dataclass(frozen=True)
class Job:
    """One step of one study: what it writes last, and where its log is."""

    step: str
    study: str
    method: str  # empty for steps that do not depend on the method
    record: Path
    log: Path


def studies_of(config: Config) -> dict[str, Study]:
    """The studies of a configuration by name, rejected ones and those of kinds without a pipeline included.

    Raises ConfigError when the table is wrong, or when the public data are not here (with the command that gets them).
    """
    source = config.studies
    if source.table:
        return read_studies(source.table)
    results = Path(config.folder("results"))
    found = list(_of_dataset(source).values()) if source.dataset else []
    found += [Study(name, "petct", str(results / name / "phantom"), truth="RTSTRUCT") for name in source.phantoms]
    found += [Study(name, "lc", str(results / name / "phantom" / made.file)) for name, made in source.chromatograms.items()]
    found += [Study(name, "lc", "") for name in source.programmes]
    found += [_scan(name, scan) for name, scan in source.scans.items()]
    found += [_raw(name, raw) for name, raw in source.measurements.items()]
    found += [Study(name, "pde", "") for name in source.systems]
    found += [Study(name, "us", str(results / name / "phantom" / SCAN_FILE), truth=INSIDE) for name in source.echoes]
    found += [_recording(name, recording) for name, recording in source.recordings.items()]
    names = [study.study for study in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"studies: {', '.join(twice)} stands in the data set {source.dataset} too; rename it.")
    return {study.study: study for study in sorted(found, key=lambda study: study.study)}


def usable(studies: dict[str, Study]) -> dict[str, Study]:
    """The studies that enter the workflow."""
    return {name: study for name, study in studies.items() if study.status == "ok" and not why_not(study)}


def why_not(study: Study) -> str:
    """Why a study that is in order has no pipeline; empty where it has one."""
    if study.kind not in PIPELINES:
        return f"no pipeline for the kind {study.kind}"
    if study.kind == "pde" and study.path:
        return "trajectories in a table have no model to simulate them: name the system in `studies.systems`"
    is_raw = study.more.get("format") or study.path.endswith(MEASUREMENTS)
    if study.kind in ("ct", "mr") and not is_raw:
        return "an image, not a measurement: name its `format` in the table, or simulate a scan of it with `studies.scans`"
    return ""


def listed(studies: dict[str, Study]) -> dict[str, Study]:
    """All studies, those without a pipeline marked as rejected for that reason."""
    missing = {name: why for name, study in studies.items() if study.status == "ok" and (why := why_not(study))}
    return studies | {name: replace(studies[name], status="reject", reason=why) for name, why in missing.items()}


def is_dicom(study: Study) -> bool:
    """Whether a study consists of DICOM series, so that results can go back as DICOM."""
    return not study.pet.endswith((".nii", ".nii.gz"))


def is_digital(config: Config, name: str) -> bool:
    """Whether the workflow itself makes the study."""
    studies = config.studies
    return name in studies.phantoms or name in studies.chromatograms or name in studies.echoes


def is_simulated(config: Config, name: str) -> bool:
    """Whether the workflow itself measures the study."""
    return name in config.studies.scans


def has_reference_inside(config: Config, study: Study) -> bool:
    """Whether raw data hold the reference of a study."""
    return study.truth == INSIDE and not is_simulated(config, study.study)


def solver_settings(config: Config, study: Study, method: str) -> ReconstructSettings:
    """The settings of one method for one study: only what it reads, its seed made of that of the run and of the study's name."""
    section = getattr(config.reconstruct, study.kind)
    seed = zlib.crc32(f"{config.seed} {study.study} {section.seed}".encode()) % 2**31
    unread = {"methods"} | (SECTIONS - READS.get(method, SECTIONS))
    if method not in NEED_PRIOR and method != "auto":
        unread |= {"prior", "samples", "patch"}
    return section.model_copy(update={"seed": seed} | {name: getattr(DEFAULTS, name) for name in unread})


def has_samples(config: Config, study: Study, method: str) -> bool:
    """Whether a method can give several samples, whose spread says something."""
    settings = solver_settings(config, study, method)
    return settings.prior is not None and settings.samples > 1


def is_picture(study: Study) -> bool:
    """Whether an ultrasound study consists of grey levels, not of RF or IQ."""
    domain = study.more.get("domain") or "auto"
    return study.path.lower().endswith(PICTURES) if domain == "auto" else domain == "image"


def dehaze_settings(config: Config, study: Study, method: str) -> DehazeSettings:
    """The settings of one method for one study: only what it reads, its seed made of that of the run and of the study's name."""
    section = config.dehaze.image if is_picture(study) else config.dehaze.signal
    seed = zlib.crc32(f"{config.seed} {study.study} {section.seed}".encode()) % 2**31
    unread = DEHAZE_SECTIONS - DEHAZE_READS.get(method, set())
    models = {kind: None for kind in ("joint", "regress", "conditional") if kind != NEED_MODEL.get(method)}
    chosen = {"methods": (method,), "seed": seed, **models}
    return section.model_copy(update=chosen | {name: getattr(DEHAZE_DEFAULTS, name) for name in unread})


def recording_facts(config: Config, study: Study) -> RecordingFacts:
    """What is stated of a recording; of one in a study table that its frames are files of their own."""
    source = config.studies.recordings.get(study.study)
    if source is None:
        return RecordingFacts(clip="-frame-" in Path(study.path).name)
    return RecordingFacts(**source.model_dump(include=set(RecordingFacts.model_fields)))


def operate_settings(config: Config, name: str) -> OperateSettings:
    """The settings of a system's operator, its seed made of that of the run and of the study's name."""
    section = config.studies.systems[name].operate
    seed = zlib.crc32(f"{config.seed} {name} {section.seed}".encode()) % 2**31
    return section.model_copy(update={"seed": seed, "device": device_of(config, section.device)})


def network_settings(config: Config) -> SegmentSettings:
    """The section on segmentation, with the device of the run where it leaves that open."""
    windows = config.segment.windows
    windows = windows.model_copy(update={"device": device_of(config, windows.device)})
    return config.segment.model_copy(update={"windows": windows})


def device_of(config: Config, asked: str) -> str:
    """What a section asks for, or the run where the section leaves it open."""
    return config.device if asked == "auto" else asked


def wants_card(config: Config) -> bool:
    """Whether a step of this run cannot do without CUDA."""
    asked = [config.segment.windows.device, *(study.operate.device for study in config.studies.systems.values())]
    return "cuda" in (config.device, *asked)


def slab_of(config: Config, study: Study, method: str) -> int:
    """Slices that a method holds in memory at once; 0 for all."""
    return config.reconstruct.slab if study.kind == "ct" and method in IN_SLABS else 0


def jobs(config: Config, studies: dict[str, Study]) -> list[Job]:
    """Every step that the workflow runs, in the order in which a study passes through."""
    return [job for name, study in usable(studies).items() for job in _jobs_of(config, name, study)]


def _jobs_of(config: Config, name: str, study: Study) -> Iterator[Job]:
    results, logs = Path(config.folder("results")), Path(config.folder("logs"))

    def job(step: str, record: str, method: str = "") -> Job:
        log = f"{name}_{method}.log" if method else f"{name}.log"
        return Job(step, name, method, results / name / record, logs / step / log)

    if is_digital(config, name):
        yield job("phantom", "phantom/manifest.json")
    if study.kind == "lc":
        yield job(step := "elute" if name in config.elute.programmes else "chromatograph", f"{step}/{step}.json")
    elif study.kind == "us":
        section = config.dehaze.image if is_picture(study) else config.dehaze.signal
        for method in section.methods:
            for step in ("dehaze", "cine", "score"):
                yield job(step, f"{step}/{method}.json", method)
    elif study.kind == "pde":
        yield from _system_jobs(config.studies.systems[name], job)
    elif study.kind in ("ct", "mr"):
        yield from _reconstruction_jobs(config, study, job)
    else:
        yield from _petct_jobs(config, study, job)
    yield Job("page", name, "", results / "report" / f"{name}.html", logs / "page" / f"{name}.log")


def _petct_jobs(config: Config, study: Study, job: Callable[..., Job]) -> Iterator[Job]:
    yield job("convert", "convert/convert.json")
    if study.truth:
        yield job("truth", "convert/truth.json")
    for method in config.segment.methods:
        yield job("segment", f"segment/{method}.json", method)
        if is_dicom(study):
            yield job("export", f"segment/{method}.seg.json", method)
        if is_dicom(study) and method in NETWORKS:
            yield job("maps", f"segment/{method}.maps.json", method)
        if study.truth:
            yield job("evaluate", f"evaluate/{method}.json", method)


def _system_jobs(study: OperatorStudy, job: Callable[..., Job]) -> Iterator[Job]:
    steps = {"trajectories": True, "operate": True, "super-resolve": study.operate.doublings, "control": study.controlled}
    yield from (job(step, f"{step}/{step}.json") for step, is_wanted in steps.items() if is_wanted)


def _reconstruction_jobs(config: Config, study: Study, job: Callable[..., Job]) -> Iterator[Job]:
    yield job(step := "simulate" if is_simulated(config, study.study) else "acquire", f"{step}/{step}.json")
    if has_reference_inside(config, study):
        yield job("reference", "reference/reference.json")
    for method in getattr(config.reconstruct, study.kind).methods:
        yield job("reconstruct", f"reconstruct/{method}.json", method)
        yield job("series", f"series/{method}.json", method)
        if study.truth:
            yield job("compare", f"compare/{method}.json", method)


def _scan(name: str, scan: ScanSettings) -> Study:
    path = "" if scan.source in GENERATED else _path_of(f"studies.scans.{name}.source", scan.source, scan.dataset)
    return Study(name, scan.kind, path, truth="reference", more={"format": "simulated"})


def _raw(name: str, raw: RawScan) -> Study:
    path = _path_of(f"studies.measurements.{name}.path", raw.path, raw.dataset)
    return Study(name, raw.kind, path, truth=raw.truth, more={"format": raw.format, "item": str(raw.item)})


def _recording(name: str, source: RecordingSource) -> Study:
    if source.path in PACKAGED:
        package, inner = PACKAGED[source.path]
        path = str(Path(find_spec(package).origin).parent / inner)
    else:
        path = _path_of(f"studies.recordings.{name}.path", source.path, source.dataset)
    return Study(name, "us", path, more={"domain": source.domain})


def _path_of(key: str, text: str, dataset: str) -> str:
    """A file or folder, of a data set where one is named. Raises ConfigError where there is none."""
    path = Path(text)
    if dataset:
        path = locate(dataset, subset=path.parts[:1] if len(path.parts) > 1 else ()) / path
    if not path.exists():
        raise ConfigError(f"{key}: {path} does not exist. Correct it; a generated object is `chest` or `mni152`.")
    return str(path)


def _of_dataset(source: StudySource) -> dict[str, Study]:
    return (_traces_of if source.kind == "lc" else _patients_of)(source.dataset, source.names)


def _patients_of(dataset: str, names: tuple[str, ...]) -> dict[str, Study]:
    folder = locate(dataset, subset=names)
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    missing = [name for name in names if name not in found]
    if missing:
        raise ConfigError(f"studies.names: {', '.join(missing)} not in {dataset}; there are {', '.join(found)}.")
    slugs = {name.replace("_", "-"): found[name] for name in names or found}
    return {slug: Study(slug, "petct", str(path), truth="RTSTRUCT") for slug, path in slugs.items()}


def _traces_of(dataset: str, names: tuple[str, ...]) -> dict[str, Study]:
    folder = locate(dataset)
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_file()}
    missing = [name for name in names if name not in found]
    if missing or not names:
        raise ConfigError(f"studies.names: {', '.join(missing) or 'none'} of {dataset}; name some of its {', '.join(found)}.")
    slugs = {Path(name).stem.replace("_", "-"): found[name] for name in names}
    return {slug: Study(slug, "lc", str(path)) for slug, path in slugs.items()}
