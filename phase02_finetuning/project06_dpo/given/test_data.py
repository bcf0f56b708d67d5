"""Wishes and files as pairs, batches of them, and what is tried in a rollout."""

import pytest
import torch

from phase02_finetuning.project04_sft.given.chat_model import ChatModel
from phase02_finetuning.project06_dpo.given.data import (
    PairBatches,
    drawn_wishes,
    in_batches,
    load_pairs,
    style_chunk,
)
from phase02_finetuning.project06_dpo.given.example import SMALL, adapted_model, random_pairs, small_tokenizer
from phase02_finetuning.project06_dpo.given.objective import PairObjective, RewardObjective
from phase02_finetuning.project06_dpo.given.rollouts import RolloutBatches
from phase02_finetuning.project06_dpo.given.settings import PreferenceConfig, ReinforceConfig
from phase02_finetuning.project06_dpo.logprobs import LogProbs
from shared.tuning.tinyworld import RULES


def test_wishes_come_by_each_rule_alike():
    found = drawn_wishes("test", 16)
    assert [one.rule for one in found] == [*RULES, *RULES]
    assert found == drawn_wishes("test", 20)[:16]
    assert {one.rule for one in drawn_wishes("train", 4, rules=["kind"])} == {"kind"}


def test_pairs_to_train_on_are_not_those_held_out():
    settings = PreferenceConfig(pairs=24, validation_pairs=8)
    found = load_pairs(settings, small_tokenizer(), "tinyworld", 256)
    assert len(found.train) == 24
    assert len(found.validation) == 8
    assert not {str(one) for one in found.train} & {str(one) for one in found.validation}
    with pytest.raises(ValueError, match="fit into 4 tokens"):
        load_pairs(settings, small_tokenizer(), "tinyworld", 4)


def test_each_pass_has_every_pair_once_with_its_reference():
    examples = random_pairs(6)
    reference = torch.arange(12.0).view(6, 2)
    batches = PairBatches(examples, reference, 4, seed=1)
    seen = torch.cat([batches.next()["reference"][:, 0] for _ in range(3)])
    assert sorted(seen[:6].tolist()) == sorted(seen[6:].tolist()) == [0, 2, 4, 6, 8, 10]
    assert seen[:6].tolist() != seen[6:].tolist()
    again = PairBatches(examples, reference, 4, seed=1)
    again.load_state_dict({"number": 2})
    assert again.next()["reference"][:, 0].tolist() == seen[8:].tolist()
    assert "reference" not in PairBatches(examples, None, 4).next()
    whole = torch.cat([one["tokens"].flatten() for one in in_batches(examples, 4)])
    assert len(whole) == sum(one["tokens"].numel() for one in in_batches(examples, 4))


def test_style_has_both_answers_or_the_chosen_one():
    both, chosen = style_chunk("both", 0, 0, 5), style_chunk("chosen", 0, 0, 5)
    assert len(both) == 10
    assert both[::2] == chosen
    assert all(one[-1]["role"] == "assistant" for one in both)
    assert style_chunk("both", 1, 0, 5) != both


@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "ipo", "simpo", "kto"])
def test_an_objective_prefers_a_policy_that_is_ahead(loss):
    objective = PairObjective(PreferenceConfig(loss=loss))
    reference, counts = torch.full((3, 2), -9.0), torch.full((3, 2), 4)
    ahead, behind = torch.tensor([[-8.0, -10.0]] * 3), torch.tensor([[-10.0, -8.0]] * 3)
    better, worse = (objective.loss(LogProbs(one, counts), reference) for one in (ahead, behind))
    assert better < worse
    more = PairObjective(PreferenceConfig(loss=loss, nll=0.5)).loss(LogProbs(ahead, counts), reference)
    torch.testing.assert_close(more, better + 0.5 * 8 / 4)


def test_answers_are_tried_once_for_all_updates_and_kept_over_a_stop():
    chat = ChatModel(adapted_model(torch.float32), small_tokenizer(), "tinyworld")
    settings = ReinforceConfig(
        skills=("opposites",), group_size=2, batch_size=2, max_tokens=4, updates=2, beta=0.1
    )
    batches = RolloutBatches(chat, settings)
    one, two, three = batches.next(), batches.next(), batches.next()
    assert one is two
    assert not torch.equal(one["tokens"], three["tokens"])
    assert len(batches.rewards) == len(batches.signal) == 2
    assert all(len(part) == 4 for part in one.values())
    loss, metrics = RewardObjective(settings)(chat.model, one)
    assert metrics["ratio"].item() == pytest.approx(1.0, abs=1e-5)
    assert loss.requires_grad
    state = batches.state_dict()
    other = RolloutBatches(chat, settings)
    other.load_state_dict(state)
    assert torch.equal(other.next()["tokens"], three["tokens"])
    assert other.rewards == batches.rewards
    assert chat.model.config == SMALL
