"""The configuration of a run: defaults, overlay and checks; everything that a YAML file of `configs/` may say."""

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from medidiff.acquisition.settings import RawScan, ScanSettings
from medidiff.chromatography.settings import ChromatographSettings, EluteSettings
from medidiff.dehazing.bmode_settings import DehazeSections
from medidiff.documents import yaml_mapping
from medidiff.errors import ConfigError
from medidiff.io.settings import ConvertSettings
from medidiff.io.ultrasound.settings import RecordingSource
from medidiff.operators.study_settings import OperatorStudy
from medidiff.phantoms.recording_settings import EchoPhantom
from medidiff.phantoms.settings import PetCtPhantom
from medidiff.phantoms.trace_settings import ChromatogramPhantom
from medidiff.reconstruction.settings import ONLY_CT, ONLY_MRI, ReconstructSettings
from medidiff.segmentation.settings import SegmentSettings
from medidiff.settings import Settings


class StudySource(Settings):
    """Where the studies come from: a table alone, or any of a public data set, digital studies, scans and measurements."""

    table: str = Field("", description="study table made by `medidiff scan`, relative to the working folder")
    dataset: str = Field("", description="public data set by name; `medidiff data list` shows them")
    names: tuple[str, ...] = Field((), description="with `dataset`: which of its studies; empty: all")
    kind: Literal["petct", "lc"] = Field("petct", description="with `dataset`: patients, or chromatograms, one in each file")
    phantoms: dict[str, PetCtPhantom] = Field({}, description="digital patients by name")
    chromatograms: dict[str, ChromatogramPhantom] = Field({}, description="digital chromatograms by name")
    programmes: tuple[str, ...] = Field((), description="of `elute.programmes`, those whose published times are all there is")
    scans: dict[str, ScanSettings] = Field({}, description="simulated CT and MR scans by name")
    measurements: dict[str, RawScan] = Field({}, description="raw data of CT and MRI by name")
    systems: dict[str, OperatorStudy] = Field({}, description="systems of equations by name")
    echoes: dict[str, EchoPhantom] = Field({}, description="generated ultrasound scans by name")
    recordings: dict[str, RecordingSource] = Field({}, description="ultrasound recordings by name")

    @model_validator(mode="after")
    def _exactly_one(self):
        named = [*self.phantoms, *self.chromatograms, *self.programmes, *self.scans, *self.measurements, *self.systems]
        named += [*self.echoes, *self.recordings]
        if bool(self.table) == bool(self.dataset or named):
            raise ValueError(
                "give exactly one of `table` and the others: `dataset`, `phantoms`, `chromatograms`, `programmes`, `scans`, "
                "`measurements`, `systems`, `echoes`, `recordings`, which go together"
            )
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} is named twice among the studies; names must differ")
        return self


class ReconstructSections(Settings):
    """Reconstruction of CT and of MRI, each with methods and a prior of its own."""

    ct: ReconstructSettings = Field(ReconstructSettings(), description="of line integrals")
    mr: ReconstructSettings = Field(ReconstructSettings(), description="of k-space")
    slab: int = Field(
        0,
        ge=0,
        description="CT slices in memory at once, by fbp, sirt, cgls, tv and nadds; 0: the whole volume, with its samples",
    )
    calibrations: tuple[str, ...] = Field(
        (), description="files of `medidiff calibrate`; samples made as one of them was become intervals, others keep a spread"
    )
    level: float = Field(0.9, gt=0, lt=1, description="share of voxels that an interval shall hold, a multiple of 0.005")

    @model_validator(mode="after")
    def _methods_fit_the_kind(self):
        for kind, foreign in (("ct", ONLY_MRI), ("mr", ONLY_CT)):
            if wrong := [method for method in getattr(self, kind).methods if method in foreign]:
                raise ValueError(f"{kind}.methods: {', '.join(wrong)} is for {'MRI' if kind == 'ct' else 'CT'} alone")
        return self


class Config(Settings):
    """One run."""

    title: str = Field("medidiff", description="headline of the report")
    seed: int = Field(0, ge=0, description="fixes every random number of the run")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: CUDA where there is a card")
    studies: StudySource = Field(description="where the studies come from")
    convert: ConvertSettings = Field(ConvertSettings(), description="reading")
    segment: SegmentSettings = Field(SegmentSettings(), description="segmentation")
    chromatograph: ChromatographSettings = Field(ChromatographSettings(), description="chromatograms at constant temperature")
    elute: EluteSettings = Field(EluteSettings(), description="chromatograms of temperature programmes")
    reconstruct: ReconstructSections = Field(ReconstructSections(), description="CT and MRI from too few measurements")
    dehaze: DehazeSections = Field(DehazeSections(), description="ultrasound without haze")
    pathvars: dict[str, str] = Field({}, description="where snakemake puts things: results, logs, benchmarks")

    @model_validator(mode="after")
    def _programmes_are_described(self):
        known = {name for name, programme in self.elute.programmes.items() if programme.published}
        if unknown := sorted(set(self.studies.programmes) - known):
            raise ValueError(f"studies.programmes: {', '.join(unknown)} has no published programme in elute.programmes")
        return self

    def folder(self, name: str) -> str:
        """The folder of `results`, `logs` or `benchmarks`; those not named in pathvars stand beside the results' default."""
        return self.pathvars.get(name, name)


def read_config(path: str | Path) -> Config:
    """The checked configuration of a YAML file.

    Raises ConfigError that lists all mistakes with line numbers and, for an unknown key, the nearest known one.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        overlay, node = yaml_mapping(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}. Correct the file.") from error
    return load(overlay, name=str(path), lines=_lines(node))


def load(overlay: Mapping[str, Any], *, name: str = "configuration", lines: Mapping[tuple, int] | None = None) -> Config:
    """The checked configuration of a mapping; `lines` tells at which line of the file `name` a key stands."""
    try:
        return Config.model_validate(json.loads(json.dumps(overlay)))
    except (TypeError, RecursionError) as error:  # YAML has dates and keys that are lists, which no setting is
        raise ConfigError(f"{name}: a value or key is of no kind that a setting has ({error}). Put dates into quotes.") from error
    except ValidationError as error:
        mistakes = [_sentence(item, lines or {}) for item in error.errors()]
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    raise ConfigError("\n".join([f"{name}: {count}", *mistakes]))


def schema() -> dict:
    """JSON Schema (draft 2020-12) of the configuration."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def _sentence(item: Mapping, lines: Mapping[tuple, int]) -> str:
    place = tuple(part for part in item["loc"])
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)
    where = f"  line {line}: " if line else "  "
    key = ".".join(map(str, place)) or "top level"
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(place[-1]), _known_keys(place[:-1]), n=1, cutoff=0.6)
        advice = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(_known_keys(place[:-1])) or 'none'}."
        return f"{where}{key}: unknown key; {advice}"
    if item["type"] == "missing":
        return f"{where}{key}: missing, and it has no default."
    return f"{where}{key}: {item['msg'].removeprefix('Value error, ')} (found {json.dumps(item['input'], default=str)[:80]})"


def _known_keys(place: Iterable) -> list[str]:
    model: Any = Config
    for part in place:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = model.model_fields[part].annotation
        else:  # a key of a mapping or an index of a tuple: go on with what it holds
            model = next((a for a in get_args(model) if isinstance(a, type) and issubclass(a, BaseModel)), None)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _lines(node: yaml.Node | None, place: tuple = ()) -> dict[tuple, int]:
    found = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*place, key.value)
            found[here] = key.start_mark.line + 1
            found |= _lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            found[(*place, index)] = value.start_mark.line + 1
            found |= _lines(value, (*place, index))
    return found
