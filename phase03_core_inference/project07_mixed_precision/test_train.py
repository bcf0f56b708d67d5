"""The command that compares the formats: it runs, says what it found, and names what is wrong before any work."""

import pytest
import torch

from phase03_core_inference.project07_mixed_precision import train

pytestmark = pytest.mark.usefixtures("own_folders")
TINY = ["--preset", "smoke", "--layers", "1", "--dim", "16", "--hidden_dim", "16", "--context_length", "16"]
TINY += ["--steps", "10", "--validation_windows", "2", "--threads", "1"]


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_all_ways_are_trained_told_and_drawn(capsys, own_folders):
    train.main(TINY)
    printed = capsys.readouterr().out
    for recipe in ("float32", "autocast", "bfloat16", "masters", "kahan", "float16"):
        assert recipe in printed
    drawn = sorted(path.name for path in (own_folders / "work" / "mixed-precision").iterdir())
    assert drawn == ["smoke-bfloat16.png", "smoke-float16.png"]


def test_outcomes_have_what_the_table_shows(monkeypatch):
    seen = {}
    monkeypatch.setattr(train, "table", lambda outcomes: seen.update(outcomes) or "")
    train.main([*TINY, "--recipes", '["float32", "masters"]'])
    assert list(seen) == ["float32", "masters"]
    for one in seen.values():
        assert one.steps == [0, 6, 10]
        assert len(one.losses) == 3
        assert one.skipped == 0
        assert one.losses[-1] < one.losses[0]
    assert seen["masters"].memory.master_weights == 2 * seen["masters"].memory.parameters
    assert seen["float32"].still == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--recipes", '["float64"]'], "float64"),
        (["--steps", "0"], "steps"),
        (["--context_length", "1000000"], "context_length"),
        (["--device", "toaster"], "toaster"),
    ],
)
def test_what_is_wrong_is_named_before_any_work(capsys, monkeypatch, arguments, named):
    monkeypatch.setattr(train, "train_one", lambda *_: pytest.fail("it was begun"))
    with pytest.raises(SystemExit) as ended:
        train.main([*TINY, *arguments])
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert named in output.out + output.err
