import pytest
import torch

from phase03_core_inference.project07_mixed_precision.given import every_pattern, gpt2_small
from phase03_core_inference.project07_mixed_precision.given.recipes import prepare
from phase03_core_inference.project07_mixed_precision.given.settings import TrainSettings

SETTINGS = TrainSettings(context_length=8, layers=1, heads=2, dim=16, hidden_dim=24)
CPU = torch.device("cpu")


def steps(recipe, count=3):
    learner = prepare(recipe, SETTINGS, 20, CPU)
    generator = torch.Generator().manual_seed(0)
    done = []
    for _ in range(count):
        tokens = torch.randint(20, (4, 9), generator=generator)
        done.append(learner.step({"tokens": tokens[:, :-1], "targets": tokens[:, 1:]}, 1e-2, 1 / 64, 1.0))
    return learner, done


@pytest.mark.parametrize("recipe", SETTINGS.recipes)
def test_every_recipe_begins_with_the_same_loss_and_moves(recipe):
    learner, done = steps(recipe)
    _, exact = steps("float32")
    assert done[0].loss == pytest.approx(exact[0].loss, rel=1e-2)
    assert all(one.applied for one in done)
    assert {group["lr"] for group in learner.optimizer.param_groups} == {1e-2}
    narrow = recipe in ("bfloat16", "masters", "kahan")
    assert {one.dtype for one in learner.model.parameters()} == {torch.bfloat16 if narrow else torch.float32}


def test_only_the_scaled_recipe_scales():
    assert steps("float16-scaled")[0].scaler.get_scale() == 2.0**16
    assert steps("float16")[0].scaler.get_scale() == 1.0


def test_a_sample_of_all_patterns_is_rounded_as_torch_rounds_it():
    for dtype in every_pattern.WAYS:
        assert every_pattern.differences(dtype, 1_000_003) == (0, 4295)


def test_the_large_model_s_ways_agree_and_hold_what_they_should():
    shape = gpt2_small.SMALL
    found = gpt2_small.training_steps(shape, 1, 16, CPU, repeats=1, seconds=1.0)
    exact = found["float32"].held
    assert found["bfloat16"].held.parameters * 2 == exact.parameters
    assert found["autocast"].held.casts > 0
    assert found["torch.autocast"].held.casts == 0, "where they are torch's, nobody can count them"
    assert set(gpt2_small.inference(shape, 4, CPU, repeats=1, seconds=1.0)) == {
        "float32",
        "autocast",
        "cast once",
    }


def test_a_wrong_result_is_not_timed():
    with pytest.raises(AssertionError, match="not torch's"):
        gpt2_small.same_losses(
            {"float32": torch.ones(()), "autocast": torch.ones(()), "torch.autocast": torch.tensor(1.001)}
        )
    with pytest.raises(AssertionError, match="bfloat16"):
        gpt2_small.same_losses({"float32": torch.ones(()), "bfloat16": torch.tensor(1.1)})
    with pytest.raises(AssertionError, match="cast once"):
        gpt2_small.same_logits({"float32": torch.ones(3), "cast once": torch.zeros(3)})
