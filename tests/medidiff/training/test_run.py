"""The runner: interrupted runs end in the same bytes, other data are refused, the best weights are kept."""

from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from medidiff.diffusion.checkpoint import pack, weights_hash
from medidiff.diffusion.denoiser import edm
from medidiff.diffusion.networks.mlp import MLP
from medidiff.diffusion.noise import Noise
from medidiff.diffusion.objectives import Denoising
from medidiff.diffusion.train import Training
from medidiff.diffusion.training_set import Tensors
from medidiff.errors import DataError
from medidiff.journal import read_journal
from medidiff.training.run import MeanLoss, OnDevice, Run, finish_training, run_training

TRAINING = Training(steps=8, batch=4, learning_rate=1e-2, warmup=2, save_every=4, first_look=1, look_every=100)
DATA = Tensors({"x0": 0.5 * torch.randn(12, 3, generator=torch.Generator().manual_seed(3))})
HELD_OUT = {"x0": 0.5 * torch.randn(9, 3, generator=torch.Generator().manual_seed(4))}


def make(*, training=TRAINING, data=DATA, identity=None, score=None) -> Run:
    objective = Denoising(0.5)
    torch.manual_seed(0)
    return Run(
        network=MLP(3, width=8),
        data=data,
        objective=objective,
        adapter=partial(edm, sd=0.5),
        training=training,
        score=score or MeanLoss(objective, HELD_OUT, batch=4),
        identity=identity or {"data": ["aa"]},
    )


@dataclass
class StopsAt:
    """A training set that fails like a machine that is switched off."""

    calls: int

    def __len__(self) -> int:
        return len(DATA)

    def __getitem__(self, indices):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return DATA[indices]


def test_a_run_that_was_interrupted_ends_in_the_bytes_of_one_that_was_not(tmp_path):
    whole = run_training(make(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_training(make(data=StopsAt(6)), tmp_path / "cut")
    torch.manual_seed(77)
    resumed = run_training(make(), tmp_path / "cut")
    assert pack(resumed.checkpoint) == pack(whole.checkpoint)
    assert (resumed.weights, resumed.score) == (whole.weights, whole.score)


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = run_training(make(), tmp_path)
    again = run_training(make(data=StopsAt(0)), tmp_path)
    assert pack(again.checkpoint) == pack(first.checkpoint)


@pytest.mark.parametrize("change", [{"identity": {"data": ["bb"]}}, {"training": replace(TRAINING, learning_rate=2e-2)}])
def test_a_folder_of_a_run_with_other_data_or_settings_is_refused(tmp_path, change):
    run_training(make(), tmp_path)
    with pytest.raises(DataError, match=r"was made with settings .* restore the old settings, or train into an empty folder"):
        run_training(make(**change), tmp_path)


def test_the_network_holds_the_weights_with_the_lowest_score(tmp_path):
    run = make()
    trained = run_training(run, tmp_path)
    candidates = {"raw": trained.checkpoint.model} | {
        f"ema-{width:g}": weights for width, weights in trained.checkpoint.averages.items()
    }
    scores = {}
    for name, weights in candidates.items():
        other = MLP(3, width=8)
        other.load_state_dict(weights)
        scores[name] = MeanLoss(Denoising(0.5), HELD_OUT, batch=4)(edm(other, 0.5))
    assert len(set(scores.values())) == 3
    assert trained.weights == min(scores, key=scores.get)
    assert trained.score == min(scores.values())
    assert weights_hash(run.network.state_dict()) == weights_hash(candidates[trained.weights])


def test_averaged_weights_are_kept_where_the_score_prefers_them(tmp_path):
    average = run_training(make(), tmp_path).checkpoint.averages[0.1]
    run = make(score=lambda denoiser: float(weights_hash(denoiser.network.state_dict()) != weights_hash(average)))
    assert run_training(run, tmp_path).weights == "ema-0.1"


def test_hours_add_up_the_seconds_of_all_attempts(tmp_path):
    lines = []
    trained = run_training(make(), tmp_path, on_line=lines.append)
    logged = read_journal(tmp_path / "log.jsonl")
    assert [line["step"] for line in logged] == [line["step"] for line in lines] == [0, 8]
    assert {"loss", "gradient", "rate", "seconds"} <= lines[-1].keys()
    assert trained.hours == pytest.approx(sum(line["seconds"] for line in logged) / 3600)


def test_the_mean_loss_does_not_change_from_call_to_call_and_counts_every_item():
    seen = []

    def objective(batch, denoiser, noise):
        seen.append(batch["x0"])
        return batch["x0"].mean() + noise(0, batch["x0"]).mean()

    score = MeanLoss(objective, {"x0": torch.arange(10.0)[:, None]}, batch=4)
    first = score(None)
    assert score(None) == first
    assert sorted(torch.cat(seen[:3]).flatten().tolist()) == list(range(10))
    expected = sum(float(len(part) * (part.mean() + Noise(2024 + k)(0, part).mean())) for k, part in enumerate(seen[:3])) / 10
    assert first == pytest.approx(expected, rel=1e-5)


def test_batches_are_moved_to_the_device():
    data = OnDevice(DATA, "meta")
    assert len(data) == 12
    assert data[torch.tensor([0, 5])]["x0"].device.type == "meta"


def test_the_end_of_a_run_that_was_cut_short_can_be_taken_from_its_checkpoint(tmp_path):
    run = make()
    checkpoint = run_training(run, tmp_path).checkpoint
    cut = SimpleNamespace(**{name: getattr(checkpoint, name) for name in ("step", "model", "averages", "card")})
    assert finish_training(make(), cut, hours=0.5).hours == 0.5
