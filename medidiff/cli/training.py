"""`medidiff train`: a model from its file of settings, resumed where an earlier call was interrupted."""

from pathlib import Path
from typing import Annotated

import typer

from medidiff.cli.step import log, step


def train(
    file: Annotated[Path, typer.Argument(help="YAML file such as configs/priors/ct-chest.yaml", show_default=False)],
    models: Annotated[Path, typer.Option(help="where the folder of the model is made")] = Path("models"),
    work: Annotated[Path | None, typer.Option(help="checkpoints and log; as a rule results/training/NAME")] = None,
) -> None:
    """Train a model; call it again after an interruption, and it goes on to the same bytes."""
    from medidiff.training.settings import TrainingFile, read_training

    with step("train", study=file.stem):
        import torch

        from medidiff.dehazing.training_settings import EchoFile
        from medidiff.io.prior_files import write_prior
        from medidiff.operators.training_settings import OperatorFile
        from medidiff.segmentation.training_settings import MaskFile
        from medidiff.training.echo import pack_echo, prepare_echo
        from medidiff.training.mask import pack_mask, prepare_mask
        from medidiff.training.operator import train_operator
        from medidiff.training.prior import pack_trained, prepare_prior
        from medidiff.training.run import run_training

        chosen = read_training(file)
        torch.set_num_threads(chosen.threads)
        folder = work or Path("results") / "training" / chosen.name
        if isinstance(chosen, OperatorFile):
            write_prior(models / chosen.name, train_operator(chosen, folder, on_line=_tell))
            log.info("%s: trained", models / chosen.name)
            return
        kinds = {
            TrainingFile: (prepare_prior, pack_trained),
            MaskFile: (prepare_mask, pack_mask),
            EchoFile: (prepare_echo, pack_echo),
        }
        prepare, pack = kinds[type(chosen)]
        prepared = prepare(chosen)
        log.info("%s: %d training items", chosen.name, len(prepared.run.data))
        trained = run_training(prepared.run, folder, on_line=_tell)
        gate = chosen.prior.gate if isinstance(chosen, TrainingFile) else None
        if gate is not None and trained.score > gate:
            log.warning("warning: validation loss %.4f is above the gate %g; train for more steps", trained.score, gate)
        write_prior(models / chosen.name, pack(chosen, prepared, trained))
        log.info("%s: validation loss %.4f with %s weights", models / chosen.name, trained.score, trained.weights)


def _tell(line: dict) -> None:
    part = f"{line['part']}: " if "part" in line else ""
    text = f"{part}step {line['step']} of {line['steps']}, {line['seconds']:.0f} s"
    if "loss" in line:
        text += f", loss {line['loss']:.4f}"
    if "validation" in line:
        text += ", validation " + " ".join(f"{loss:.3f}" for loss in line["validation"])
    log.info("%s", text)
