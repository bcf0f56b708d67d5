"""Equality with trl: losses of pairs, ten steps of training, and GRPO's loss in its three averages."""

import math

import pytest
import torch

from phase02_finetuning.project04_sft.given.chat_model import ChatModel
from phase02_finetuning.project06_dpo.given.example import (
    SMALL,
    TEMPLATE,
    random_model,
    random_pairs,
    small_tokenizer,
)
from phase02_finetuning.project06_dpo.given.peers import (
    dpo_losses,
    dpo_trainer,
    grpo_trainer,
    our_dpo_losses,
    pair_records,
    trl,
)
from phase02_finetuning.project06_dpo.grpo import group_advantages, grpo_loss
from phase02_finetuning.project06_dpo.losses import dpo_loss, hinge_loss, ipo_loss
from shared.phase01 import IGNORED

pytestmark = [
    pytest.mark.skipif(trl is None, reason="trl is not installed"),
    pytest.mark.filterwarnings("ignore"),  # trl's own, about itself and transformers
]
PAIRS = random_pairs(8)


def chat(seed=0):
    return ChatModel(random_model(SMALL, torch.float32, seed), small_tokenizer(), TEMPLATE)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """trl's trainer of a policy, with another model as its reference."""
    folder = tmp_path_factory.mktemp("trl")
    found = dpo_trainer(chat(), folder, PAIRS, per_device_train_batch_size=4, beta=0.2)
    other = dpo_trainer(chat(1), folder / "other", PAIRS[:1], per_device_train_batch_size=1)
    found.ref_model = other.model.eval()
    found.model.eval()
    return found


def sums_and_counts(model):
    """Of each pair's answers, by the plain formula."""
    rows = []
    for pair in PAIRS:
        for ids, labels in pair:
            logps = model(torch.tensor([ids[:-1]])).log_softmax(dim=-1)[0]
            places = [place for place, label in enumerate(labels[1:]) if label != IGNORED]
            rows.append((sum(logps[place, labels[place + 1]] for place in places), len(places)))
    sums = torch.stack([one for one, _ in rows]).detach().view(-1, 2)
    return sums, torch.tensor([n for _, n in rows]).view(-1, 2)


def theirs(trainer, kind, smoothing=0.0):
    trainer.loss_types, trainer.label_smoothing = [kind], smoothing
    trainer.loss_weights = [1.0]
    batch = trainer.data_collator(pair_records(PAIRS))
    with torch.no_grad():
        return trainer._compute_loss(trainer.model, batch, False).item()


def ours():
    policy, counts = sums_and_counts(chat().model)
    reference, _ = sums_and_counts(chat(1).model)
    return policy, reference, counts


@pytest.mark.task(2)
def test_dpo_is_trls(trainer):
    policy, reference, _ = ours()
    found = dpo_loss(*policy.unbind(1), *reference.unbind(1), beta=0.2).losses.mean().item()
    assert found == pytest.approx(theirs(trainer, "sigmoid"), abs=1e-5)
    # trl's "robust" is the smoothed loss without the swapped part's bias
    plain = dpo_loss(*policy.unbind(1), *reference.unbind(1), beta=0.2).losses
    swapped = dpo_loss(*policy.flip(1).unbind(1), *reference.flip(1).unbind(1), beta=0.2).losses
    robust = ((0.9 * plain - 0.1 * swapped) / 0.8).mean().item()
    assert robust == pytest.approx(theirs(trainer, "robust", 0.1), abs=1e-5)


@pytest.mark.task(3)
def test_hinge_and_ipo_are_trls(trainer):
    policy, reference, counts = ours()
    hinge = hinge_loss(*policy.unbind(1), *reference.unbind(1), beta=0.2).mean().item()
    assert hinge == pytest.approx(theirs(trainer, "hinge"), abs=1e-5)
    ipo = ipo_loss(*(policy / counts).unbind(1), *(reference / counts).unbind(1), beta=0.2).mean().item()
    assert ipo == pytest.approx(theirs(trainer, "ipo"), abs=1e-4)


def test_ten_steps_have_trls_losses(tmp_path):
    """Our parts and torch's AdamW, against trl's trainer: the same pairs in the same order."""
    settings = {"per_device_train_batch_size": 2, "beta": 0.3, "learning_rate": 1e-3, "max_steps": 10}
    expected = dpo_losses(chat(), tmp_path, PAIRS, lr_scheduler_type="constant", **settings)
    found = our_dpo_losses(chat().model, PAIRS, rows=2, beta=0.3, rate=1e-3, steps=10)
    assert expected[0] == pytest.approx(math.log(2), abs=1e-5)
    assert found == pytest.approx(expected, abs=1e-4)
    assert max(expected[0] - one for one in expected) > 0.005


@pytest.mark.task(8)
@pytest.mark.parametrize(
    ("kind", "average"), [("grpo", "sequence"), ("bnpo", "token"), ("dr_grpo", "constant")]
)
def test_grpo_is_trls(tmp_path, kind, average):
    trainer = grpo_trainer(chat(), tmp_path, beta=0.05, loss_type=kind, max_completion_length=9)
    random = torch.Generator().manual_seed(0)
    prompts = torch.randint(SMALL.vocab_size, (4, 5), generator=random)
    answers = torch.randint(SMALL.vocab_size, (4, 6), generator=random)
    mask = torch.arange(6) < torch.tensor([[6], [2], [4], [1]])
    with torch.no_grad():
        logits = chat().model(torch.cat([prompts, answers], dim=1))[:, 4:-1]
    policy = logits.log_softmax(dim=-1).gather(2, answers[..., None])[..., 0]
    old = policy + 0.3 * torch.randn(4, 6, generator=random)
    reference = policy + 0.3 * torch.randn(4, 6, generator=random)
    by = group_advantages(torch.tensor([[0.0, 1.0], [0.3, 0.1]])).flatten()
    expected = trainer._compute_loss(
        trainer.model,
        {
            "prompt_ids": prompts, "prompt_mask": torch.ones_like(prompts), "completion_ids": answers,
            "completion_mask": mask.long(), "advantages": by, "old_per_token_logps": old,
            "ref_per_token_logps": reference, "num_items_in_batch": mask.sum(),
        },
    ).item()  # fmt: skip
    found, _ = grpo_loss(policy, old, reference, by, mask, beta=0.05, average=average, max_tokens=9)
    assert found.item() == pytest.approx(expected, abs=1e-5)
