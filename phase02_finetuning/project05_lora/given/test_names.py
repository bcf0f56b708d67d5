import torch
from torch import nn

from phase02_finetuning.project05_lora.adapters import add_adapter
from phase02_finetuning.project05_lora.given.example import random_model
from phase02_finetuning.project05_lora.given.names import fingerprint, peft_names
from phase02_finetuning.project05_lora.lora import LoraConfig
from phase02_finetuning.project05_lora.merging import merge
from phase02_finetuning.project05_lora.qlora import quantize_base


def test_layers_have_hugging_faces_names_with_adapters_or_without():
    model = random_model()
    before = peft_names(model)
    assert before["blocks.1.attention.out"] == "model.layers.1.self_attn.o_proj"
    assert before["blocks.0.feed_forward.gate"] == "model.layers.0.mlp.gate_proj"
    assert before["head"] == "lm_head"
    assert len(before) == 15
    add_adapter(model, LoraConfig(rank=1, targets=("q",)))
    merge(model)
    assert peft_names(model) == before
    assert peft_names(nn.Sequential(nn.Linear(2, 2))) == {"0": "0"}


def test_a_base_is_known_by_its_numbers_alone():
    model = random_model()
    before = fingerprint(model)
    assert fingerprint(random_model()) == before
    add_adapter(model, LoraConfig(rank=1))
    merge(model)
    assert fingerprint(model) == before
    assert fingerprint(random_model().bfloat16()) == before
    with torch.no_grad():
        model.norm.weight[0] += 1
    assert fingerprint(model) != before
    four = random_model()
    quantize_base(four)
    assert fingerprint(four) != before
