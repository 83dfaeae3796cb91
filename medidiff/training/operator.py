"""A training run of an operator: trajectories of the system's solver, one stage after the other, spread, scores, files."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import torch

import medidiff
from medidiff.diffusion.networks.unet import UNet
from medidiff.operators.encoding import Encoding
from medidiff.operators.layout import OperatorLayout
from medidiff.operators.model import Operator, OperatorCard, pack_operator, read_card
from medidiff.operators.scores import calibrated, scores_of
from medidiff.operators.training import Prepared, encoding_for, prepare_part, shapes
from medidiff.operators.training_settings import OperatorFile, Stage
from medidiff.training.operator_page import operator_page
from medidiff.training.run import MeanLoss, OnDevice, OnLine, Run, Trained, run_training
from medidiff.training.trajectories import OperatorSets, operator_sets


def train_operator(
    file: OperatorFile, folder: str | Path, *, on_line: OnLine = lambda line: None, history: str = ""
) -> dict[str, bytes]:
    """The files of a trained operator: weights, card, page.

    folder    of trajectories and checkpoints; called again after an interruption, the run goes on to the same bytes
    history   what happened to the run that its settings do not tell

    Raises ConfigError where the settings cannot be had, DataError when the folder holds a run of other settings.
    """
    settings = file.operator
    made = operator_sets(settings, Path(folder) / "data")
    layout = OperatorLayout(made.kind.fields, **settings.layout.model_dump(), space="xy"[: len(settings.system.grid)])
    encoding = encoding_for(settings, layout, made.forces, made.sets.train)
    networks: dict[str, UNet] = {}
    card = _first_card(file, made, encoding, history)
    for stage in settings.stages:
        prepared = prepare_part(settings, stage, made.sets, encoding, networks)
        run = _run(file, stage, prepared, {**made.source, "layout": asdict(layout), "earlier": card.weights})
        trained = run_training(
            run, Path(folder) / stage.part, on_line=lambda line, part=stage.part: on_line({**line, "part": part})
        )
        networks[stage.part] = prepared.network.eval().requires_grad_(False)
        card = _with_part(card, stage, prepared, trained)
    card = replace(card, networks=shapes(networks))
    operator = calibrated(Operator(card, networks, file.device), made.sets.validation, members=settings.calibration_members)
    card = replace(operator.card, scores=scores_of(operator, made.test, members=settings.calibration_members))
    files = pack_operator(card, networks)
    return {**files, "README.md": operator_page(read_card(files["card.json"])).encode()}


def _run(file: OperatorFile, stage: Stage, prepared: Prepared, identity: Mapping[str, object]) -> Run:
    held_out = {name: value.to(file.device) for name, value in prepared.held_out.items()}
    return Run(
        network=prepared.network.to(file.device),
        data=OnDevice(prepared.data, file.device),
        objective=prepared.objective,
        adapter=prepared.adapter,
        training=prepared.training,
        score=MeanLoss(prepared.objective, held_out),
        identity={**identity, "stage": stage.model_dump(), "operator": file.operator.model_dump(mode="json", exclude={"stages"})},
    )


def _first_card(file: OperatorFile, made: OperatorSets, encoding: Encoding, history: str) -> OperatorCard:
    kind, settings = made.kind, file.operator
    parameters = made.sets.train.problem.parameters
    low, high = parameters.amin(0).tolist(), parameters.amax(0).tolist()
    return OperatorCard(
        name=file.name,
        title=file.title,
        system=settings.system.system,
        form=settings.form,
        noise=settings.recipe.noise,
        encoding=asdict(encoding),
        networks={},
        frames=settings.system.frames,
        cells=settings.system.grid,
        dt_s=kind.dt_s,
        length=settings.system.length,
        boundary=settings.system.boundary,
        parameters={name: [low[index], high[index]] for index, name in enumerate(kind.parameters)},
        training=settings.model_dump(mode="json"),
        versions={"medidiff": medidiff.__version__, "torch": str(torch.__version__)},
        data=dict(made.source),
        history=history,
        not_for=file.not_for,
    )


def _with_part(card: OperatorCard, stage: Stage, prepared: Prepared, trained: Trained) -> OperatorCard:
    return replace(
        card,
        residual_scale=prepared.residual_scale or card.residual_scale,
        refinement=asdict(prepared.refinement) if prepared.refinement else card.refinement,
        weights={**card.weights, stage.part: trained.weights},
        hours={**card.hours, stage.part: round(trained.hours, 3)},
    )
