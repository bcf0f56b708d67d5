import json

import pytest
import torch

from shared import artifacts
from shared.artifacts import ArtifactError, CheckpointError, find, publish

pytestmark = pytest.mark.usefixtures("own_folders")


def make(value=1.0, **more):
    return publish(
        "char-gpt", {"w": torch.full((2,), value)}, {"layers": 2}, {"seed": 7, "loss": 1.5}, **more
    )


def test_what_is_published_is_found_whole(own_folders, capsys):
    published = make()
    assert published.folder == own_folders / "work" / "models" / "char-gpt"
    found = find("char-gpt")
    assert found == published
    assert found.config == {"layers": 2}
    assert torch.equal(found.tensors()["w"], torch.ones(2))
    card = found.card
    assert card["seed"] == 7
    assert card["loss"] == 1.5
    assert {"name", "command", "commit", "device", "threads", "versions", "date"} <= set(card)
    assert capsys.readouterr().err == f"model: char-gpt, yours ({found.folder})\n"


def test_the_copies_say_what_the_file_says():
    artifact = make()
    assert json.loads((artifact.folder / "config.json").read_text()) == artifact.config
    assert json.loads((artifact.folder / "card.json").read_text()) == artifact.card
    (artifact.folder / "config.json").write_text("{}")
    assert find("char-gpt").config == {"layers": 2}, "model.safetensors alone decides"


def test_the_learners_own_comes_before_the_released(own_folders, capsys):
    released = make(1.0, released=True)
    assert released.folder == own_folders / "data" / "models" / "char-gpt"
    assert find("char-gpt").whose == "released"
    assert "char-gpt, released" in capsys.readouterr().err
    make(2.0)
    own = find("char-gpt")
    assert own.whose == "yours"
    assert own.tensors()["w"].tolist() == [2.0, 2.0]


def test_the_learners_own_is_told_from_the_released(own_folders):
    assert artifacts.replaced_by_training("small") == ""
    artifacts.publish("small", {"w": torch.zeros(2)}, {}, {}, released=True)
    assert artifacts.replaced_by_training("small") == ""
    artifacts.publish("small", {"w": torch.ones(2)}, {}, {})
    said = artifacts.replaced_by_training("small")
    assert said.startswith("small is trained already, in ")
    assert "work/models/small: this run replaces it" in said


def test_a_missing_model_says_what_exists_and_what_builds_it():
    with pytest.raises(ArtifactError, match=r"there is no model 'other'; there is none yet\.$"):
        find("other")
    make()
    publish("tiny", {}, {}, {}, released=True)
    with pytest.raises(ArtifactError, match=r"there is char-gpt, tiny\. Build it with: make train$"):
        find("other", command="make train")


def test_a_missing_model_is_built(capsys):
    built = []
    assert find("char-gpt", build=lambda: built.append(make())) == built[0]
    assert "char-gpt is not there yet; building it" in capsys.readouterr().err
    find("char-gpt", build=lambda: pytest.fail("it is there already"))


def test_a_build_that_publishes_nothing():
    with pytest.raises(ArtifactError, match="building char-gpt has published no model of that name"):
        find("char-gpt", build=lambda: None)


def test_a_broken_model_of_the_learners_is_not_passed_over():
    make(released=True)
    own = make()
    weights = own.folder / artifacts.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    found = find("char-gpt")
    for part in (found.tensors, lambda: found.card):
        with pytest.raises(CheckpointError, match="cut short"):
            part()


def test_a_checkpoint_is_not_a_published_model(own_folders):
    artifacts.write(own_folders / "work" / "models" / "last" / artifacts.WEIGHTS, {"w": torch.ones(1)})
    with pytest.raises(CheckpointError, match="has no config"):
        _ = find("last").config


@pytest.mark.parametrize(
    ("state", "config", "message"),
    [
        ({"w": torch.ones(1)}, "[1]", "must be one JSON object"),
        ({"w": torch.ones(1)}, "{", "is no JSON"),
        ({"w": torch.ones(1)}, "[" * 200_000, "is no JSON"),
        ([torch.ones(1)], "{}", "holds no dict"),
        ({"w": 5}, "{}", "has a w that is no tensor"),
        ({5: torch.ones(1)}, "{}", "has an entry 5, whose name is no text"),
    ],
)
def test_a_model_of_the_wrong_kind_is_refused(own_folders, state, config, message):
    path = own_folders / "work" / "models" / "odd" / artifacts.WEIGHTS
    artifacts.write(path, state, {"config": config})
    odd = find("odd")
    with pytest.raises(CheckpointError, match=message):
        _ = odd.config, odd.tensors()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "Big", ".hidden", "a b"])
def test_names_that_are_no_folder_names(name):
    with pytest.raises(ValueError, match="cannot name a model"):
        publish(name, {}, {}, {})
    with pytest.raises(ValueError, match="cannot name a model"):
        find(name)


def test_what_json_cannot_hold_is_refused_before_anything_is_written(own_folders):
    with pytest.raises(TypeError, match="the config of x cannot be written as JSON"):
        publish("x", {}, {"a": {1}}, {})
    with pytest.raises(TypeError, match="the card of x cannot be written as JSON"):
        publish("x", {}, {}, {"loss": float("nan")})
    assert not (own_folders / "work").exists()
