"""One echo dehazed as IQ, as RF and as a picture; and whether samples spread as far as they err."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.dehazing_runs import POINT, SETTINGS, Bench
from benchmarks.record import Row
from medidiff.dehazing.baselines import local_power
from medidiff.dehazing.bmode_settings import BmodeSettings
from medidiff.dehazing.display import picture_geometry, pictures_of
from medidiff.dehazing.task import dehaze
from medidiff.dehazing.track import dehaze_recording
from medidiff.io.ultrasound.recording import Recording, Sector
from medidiff.metrics.dehazing_truth import nmse_db
from medidiff.phantoms.echo import Echo, draw_echo
from physics.ultrasound.demodulation import remodulate
from physics.ultrasound.envelope import reference_level
from physics.ultrasound.polar import PolarGrid

DECIMATION = 4  # RF samples for one of IQ
BMODE = BmodeSettings(phases=1)
CROP = slice(60, 188), slice(32, 96)  # of the frames whose coverage is counted: the ventricle and its walls
SAMPLES = 4
WITHIN = 2.0  # standard deviations


def domains(bench: Bench, seeds: range, methods: tuple[str, ...], *, htr_db: float = -10.0) -> Iterator[Row]:
    """Errors of one method on the same echoes: as RF over the true RF, and of the picture that each way ends in."""
    for method in methods:
        found = [in_domains(bench, draw_echo(seed, htr_db=htr_db), method, seed) for seed in seeds]
        hazy = [in_domains(bench, draw_echo(seed, htr_db=htr_db), "identity", seed) for seed in seeds]
        for name, unit, keys in (("nmse_rf_db", "dB", ("iq", "rf")), ("picture_mae_db", "dB", ("iq", "rf", "image"))):
            for key in keys:
                ours, theirs = (float(np.mean([one[f"{name}_{key}"] for one in ones])) for ones in (found, hazy))
                case = f"g1, {len(seeds)} frames, {method} on {key.upper() if key != 'image' else 'the picture'}"
                yield Row(name, case, ours, unit, theirs, "identity", difference=ours - theirs)


def in_domains(bench: Bench, echo: Echo, method: str, seed: int) -> dict[str, float]:
    """nmse_rf_db of IQ and RF, and picture_mae_db of IQ, RF and picture, of one frame."""
    settings = POINT if method == "split_gibbs" else SETTINGS
    options = {"method": method, "settings": settings, "bmode": BMODE, "priors": bench.priors, "seed": seed}
    as_iq, as_rf = iq_recording(echo), rf_recording(echo, echo.y)
    true_rf, true_picture = rf_recording(echo, echo.x).values, picture(echo, echo.x)
    tissue = {name: dehaze_recording(one, **options).recording.values for name, one in (("iq", as_iq), ("rf", as_rf))}
    rf = {"iq": rf_recording(echo, torch.from_numpy(tissue["iq"])).values, "rf": tissue["rf"]}
    sector = as_iq.geometry
    shown = Recording(picture(echo, echo.y), "image", picture_geometry(sector, tuple(echo.y.shape[1:]), rows=BMODE.rows))
    pictures = {
        "iq": picture(echo, torch.from_numpy(tissue["iq"])),
        "rf": dehaze_recording(as_rf, **options).extras["picture_after"],
        "image": dehaze_recording(shown, **options).recording.values,
    }
    inside = shown.values > 0
    per_level = BMODE.range_db / 255
    error = lambda one: per_level * float(np.abs(one[inside].astype(float) - true_picture[inside]).mean())
    return {f"nmse_rf_db_{name}": nmse_db(values, true_rf) for name, values in rf.items()} | {
        f"picture_mae_db_{name}": error(values) for name, values in pictures.items()
    }


def iq_recording(echo: Echo) -> Recording:
    """The hazy echo as a recording of IQ."""
    grid, f = echo.grid, echo.frequencies
    sector = Sector(grid.first_range_m, grid.range_step_m, grid.first_angle_rad, grid.angle_step_rad)
    return Recording(echo.y.numpy(), "iq", sector, f.sampling_hz, f.centre_hz, f.demodulation_hz, f.sound_speed)


def rf_recording(echo: Echo, iq: Tensor) -> Recording:
    """IQ on the grid of an echo as a recording of RF."""
    one = iq_recording(echo)
    rate, depth = one.sampling_hz * DECIMATION, iq.shape[1] * DECIMATION
    carrier = {"demodulation_hz": one.demodulation_hz, "first_time_s": 2 * one.geometry.first_range_m / one.sound_speed}
    rf = remodulate(iq, sampling_hz=rate, samples=depth, decimation=DECIMATION, **carrier)
    fine = replace(one.geometry, range_step_m=one.geometry.range_step_m / DECIMATION)
    return replace(one, values=rf.numpy(), kind="rf", geometry=fine, sampling_hz=rate)


def picture(echo: Echo, iq: Tensor) -> np.ndarray:
    """Grey levels of IQ on the scale of the measurement."""
    scale = {"reference": reference_level(echo.y), "range_db": BMODE.range_db, "rows": BMODE.rows}
    return pictures_of(iq.abs(), iq_recording(echo).geometry, **scale)


@dataclass(frozen=True)
class Spread:
    """Of one frame: how often the truth lies within two standard deviations, and both sizes over the tissue, dB."""

    share: float
    spread_db: float
    error_db: float


def coverage(bench: Bench, seeds: range, *, htr_db: float = -10.0) -> Iterator[Row]:
    """Samples of the joint sampler on the middle of frames: their spread, beside what the powers of the truth allow."""
    found = [spread_of(bench, draw_echo(seed, htr_db=htr_db), seed) for seed in seeds]
    share, spread, error = (float(np.mean([getattr(one, name) for one in found])) for name in ("share", "spread_db", "error_db"))
    note = f"{SAMPLES} samples; spread {spread:.1f} dB, error of a sample's mean {error:.1f} dB over the tissue"
    yield Row("coverage_95", f"g1, {len(seeds)} frames, split_gibbs", share, "share", 0.954, "calibrated", note=note)


def spread_of(bench: Bench, echo: Echo, seed: int) -> Spread:
    """Coverage of real and imaginary parts, over independent pixels as over neighbours."""
    rows, columns = CROP
    grid = echo.grid
    part = PolarGrid(
        grid.first_range_m + rows.start * grid.range_step_m,
        grid.range_step_m,
        rows.stop - rows.start,
        grid.first_angle_rad + columns.start * grid.angle_step_rad,
        grid.angle_step_rad,
        columns.stop - columns.start,
    )
    options = SETTINGS.split_gibbs.model_copy(update={"samples": SAMPLES})
    settings = SETTINGS.model_copy(update={"split_gibbs": options})
    x, y = echo.x[:, rows, columns], echo.y[:, rows, columns]
    result = dehaze(y, part, method="split_gibbs", settings=settings, priors=bench.priors, seed=seed)
    error, deviation = result.tissue - x, result.spread / math.sqrt(2)  # of one of two parts
    inside = torch.stack([error.real.abs(), error.imag.abs()]) <= WITHIN * deviation * math.sqrt(1 + 1 / SAMPLES)
    power = float(x.abs().square().sum())
    ratio = lambda values: 10 * math.log10(float(values.abs().square().sum()) / power)
    return Spread(float(inside.float().mean()), ratio(result.spread), ratio(error))


def bayes(seeds: range, *, family: str, htr_db: tuple[float, ...]) -> Iterator[Row]:
    """What posterior samples of speckle of known local powers would reach: no sampler of such a prior can do better.

    error of a mean of S samples = sum P_x P_h / (P_x + P_h) (1 + 1 / S),    the first term that of the Wiener filter
    """
    least, tissue, identity = [], [], []
    for index, seed in enumerate(seeds):
        echo = draw_echo(seed, family=family, htr_db=htr_db[index % len(htr_db)])
        own, other = local_power(echo.x, 9), local_power(echo.h + echo.n, 9)
        least.append(float((own * other / (own + other)).sum()))
        tissue.append(float(echo.x.abs().square().sum()))
        identity.append(nmse_db(echo.y.numpy(), echo.x.numpy()))
    hazy = float(np.mean(identity))
    for samples in (1, 3):
        ours = float(np.mean([10 * math.log10((1 + 1 / samples) * e / p) for e, p in zip(least, tissue, strict=True)]))
        case = f"{family}, {len(seeds)} frames, exact posterior of local powers, mean of {samples}"
        yield Row("nmse_tissue_db", case, ours, "dB", hazy, "identity", difference=ours - hazy, note="a bound, no method")
