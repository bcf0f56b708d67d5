"""Bytes counted against what each tensor's shape and dtype say."""

import pytest
import torch

from phase03_core_inference.project07_mixed_precision.autocast import Autocast
from phase03_core_inference.project07_mixed_precision.kahan import KahanAdamW
from phase03_core_inference.project07_mixed_precision.master_weights import MasterWeights
from phase03_core_inference.project07_mixed_precision.memory import Memory, bytes_held, memory_report
from shared.phase01 import LLM, Config

CONFIG = Config(vocab_size=20, context_length=8, layers=2, heads=2, dim=16, hidden_dim=24, kv_heads=1)
B16 = torch.bfloat16


def trained(make, dtype=torch.float32, block=None, tied=True):
    """A model after one step, with its optimizer."""
    torch.manual_seed(0)
    model = LLM(Config(**{**vars(CONFIG), "tied_embeddings": tied})).to(dtype)
    optimizer = make(model.parameters())
    tokens = torch.randint(20, (2, 8))
    model(tokens).square().mean().backward()
    optimizer.step()
    return model, optimizer


@pytest.mark.task(9)
def test_each_piece_of_memory_counts_once():
    x, other = torch.zeros(10, 10), torch.zeros(3, dtype=B16)
    assert bytes_held([x]) == 400
    assert bytes_held([x, other]) == 406
    assert bytes_held([x, x.T, x[2:], x.view(-1), x]) == 400
    assert bytes_held([x[3:5]]) == 400, "a view keeps all of what it is a view of"
    assert bytes_held([]) == 0
    assert bytes_held(tensor for tensor in (x, other)) == 406, "also from a generator"
    assert bytes_held([torch.zeros(0), x]) == 400


@pytest.mark.task(9)
def test_float32_with_adamw_holds_16_bytes_a_weight_and_its_counters():
    model, optimizer = trained(lambda parameters: torch.optim.AdamW(parameters, lr=1e-3))
    count = sum(parameter.numel() for parameter in model.parameters())
    report = memory_report(model, [optimizer])
    counters = 4 * len(list(model.parameters()))
    assert report == Memory(4 * count, 4 * count, 8 * count + counters, 0, 0)
    assert report.total == 16 * count + counters


@pytest.mark.task(9)
def test_a_tied_weight_counts_once():
    sizes = []
    for tied in (False, True):
        model, _ = trained(lambda parameters: torch.optim.SGD(parameters, lr=1e-3), tied=tied)
        sizes.append(memory_report(model).parameters)
    assert sizes[0] - sizes[1] == 4 * CONFIG.vocab_size * CONFIG.dim


@pytest.mark.task(9)
def test_master_weights_are_counted_by_themselves():
    make = lambda parameters: MasterWeights(parameters, lambda groups: torch.optim.AdamW(groups, lr=1e-3))  # noqa: E731
    model, optimizer = trained(make, B16)
    count, tensors = sum(parameter.numel() for parameter in model.parameters()), len(list(model.parameters()))
    assert memory_report(model, [optimizer]) == Memory(
        2 * count, 2 * count, 8 * count + 4 * tensors, 4 * count, 0
    )


@pytest.mark.task(9)
def test_kahan_s_compensation_is_optimizer_state():
    model, optimizer = trained(KahanAdamW, B16)
    count = sum(parameter.numel() for parameter in model.parameters())
    assert memory_report(model, [optimizer]) == Memory(2 * count, 2 * count, 10 * count, 0, 0)


@pytest.mark.task(9)
def test_autocast_s_copies_are_those_of_the_matrices():
    torch.manual_seed(0)
    model = LLM(CONFIG)
    matrices = sum(module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear))
    with Autocast(B16):
        model(torch.randint(20, (2, 8)))
        report = memory_report(model, casts=[copy for _, copy in Autocast.casts.values()])
    assert report.casts == 2 * matrices
    assert report.gradients == report.optimizer_state == 0
    assert memory_report(model).casts == 0


@pytest.mark.task(9)
def test_all_optimizers_count_and_state_is_found_however_deep():
    model = torch.nn.Linear(4, 4, bias=False)
    first, second = torch.optim.SGD(model.parameters(), lr=1.0), torch.optim.SGD(model.parameters(), lr=1.0)
    moment = torch.zeros(4, 4)
    first.state[model.weight] = {
        "step": 3,
        "moment": moment,
        "history": [torch.zeros(2), (torch.zeros(3), None)],
    }
    second.state[model.weight] = {"more": {"inner": torch.zeros(5)}, "same": moment}
    assert memory_report(model, [first]).optimizer_state == 64 + 8 + 12
    assert memory_report(model, [first, second]).optimizer_state == 64 + 8 + 12 + 20
    assert memory_report(model, [first, second]).total == 64 + 64 + 8 + 12 + 20
