import pytest
import torch

from phase04_advanced_inference.project11_speculative_decoding.given.example import random_model
from phase04_advanced_inference.project11_speculative_decoding.given.heads import load_heads, publish_heads
from phase04_advanced_inference.project11_speculative_decoding.mtp import MTPHeads
from shared import artifacts
from shared.testing import raises

pytestmark = pytest.mark.usefixtures("own_folders")


def test_heads_come_back_as_they_were_in_the_models_format():
    heads = MTPHeads(24, 3)
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter)
    publish_heads("ahead", heads, "tiny", {"data": "none"}, dtype=torch.bfloat16)
    found = load_heads("ahead", random_model())
    assert (found.count, found.dim, found.training) == (3, 24, False)
    for (name, one), other in zip(found.named_parameters(), heads.parameters(), strict=True):
        assert torch.equal(one, other.bfloat16().double()), name
    assert artifacts.find("ahead").config == {"base": "tiny", "dim": 24, "count": 3}


def test_heads_for_another_model_and_what_are_no_heads_are_named():
    publish_heads("wide", MTPHeads(32, 1), "tiny", {"data": "none"})
    with raises(artifacts.CheckpointError, "wide", 32, 24):
        load_heads("wide", random_model())
    artifacts.publish("odd", {"weight": torch.ones(1)}, {"dim": 24, "count": 1}, {"data": "none"})
    with raises(artifacts.CheckpointError, "odd"):
        load_heads("odd", random_model())
    with raises(artifacts.ArtifactError, "none", "train_heads"):
        load_heads("none", random_model())
