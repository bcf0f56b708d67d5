"""The commands that show: a table of what changed, and answers side by side."""

import pytest

from phase02_finetuning.project06_dpo import evaluate, samples
from phase02_finetuning.project06_dpo.given.small_base import publish_small


@pytest.fixture(autouse=True)
def models(own_folders):
    """Two models that are the same one."""
    publish_small("tiny")
    publish_small("other")


def test_a_model_beside_itself_has_changed_nothing(capsys):
    evaluate.main("other", "tiny", per_rule=1, per_skill=0, beta=0.1, device="cpu")
    said = " ".join(capsys.readouterr().out.split())
    assert "0.6931" in said
    assert "50%" in said
    assert "0, 0, 8" in said
    assert "none differs" in said
    for rule in ("polite", "right_fact", "mean"):
        assert rule in said


def test_samples_show_each_models_answer(capsys):
    samples.main(["tiny", "other"], count=3, rule="polite", device="cpu")
    said = capsys.readouterr().out
    assert said.count("[polite]") == 3
    assert said.count("    tiny ") == said.count("    other") == 3


@pytest.mark.parametrize(
    ("call", "fact"),
    [
        (lambda: evaluate.main("nobody", "tiny"), "nobody"),
        (lambda: evaluate.main("other", "tiny", per_rule=0), "per_rule"),
        (lambda: samples.main(["tiny"], count=0), "count"),
        (lambda: samples.main(["tiny"], rule="loud"), "loud"),
        (lambda: samples.main(["nobody"]), "nobody"),
    ],
)
def test_what_cannot_be_is_one_line(capsys, call, fact):
    with pytest.raises(SystemExit) as ended:
        call()
    assert ended.value.code == 2
    assert fact in capsys.readouterr().err
