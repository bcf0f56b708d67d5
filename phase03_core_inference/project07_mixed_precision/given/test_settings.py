import pytest

from phase03_core_inference.project07_mixed_precision.given.settings import TrainSettings
from shared import config
from shared.files import ROOT
from shared.testing import raises

CONFIGS = ROOT / "phase03_core_inference" / "project07_mixed_precision" / "configs"


@pytest.mark.parametrize("preset", ["smoke", "cpu", "gpu"])
def test_the_presets_can_be_read(preset):
    settings = config.parse(TrainSettings, CONFIGS, ["--preset", preset])
    assert settings.model_config(65).vocab_size == 65
    assert len(settings.recipes) == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_tokens", 0),
        ("learning_rate", 0.0),
        ("warmup", -1),
        ("decay_share", 1.5),
        ("seed", -1),
        ("heads", 5),
    ],
)
def test_impossible_settings_are_refused(name, value):
    with raises(ValueError, name):
        TrainSettings(**{name: value})


@pytest.mark.parametrize("recipes", [(), ("float32", "float32"), ("float64",)])
def test_recipes_are_some_of_those_there_are(recipes):
    with raises(ValueError, "recipes", "float16-scaled"):
        TrainSettings(recipes=recipes)


@pytest.mark.parametrize("name", ["", "a/b", ".hidden"])
def test_the_name_is_that_of_a_file(name):
    with raises(ValueError, "name"):
        TrainSettings(name=name)
