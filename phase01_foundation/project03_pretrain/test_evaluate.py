import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain import evaluate
from phase01_foundation.project03_pretrain.given import blimp, evaluation, multiple_choice
from phase01_foundation.project03_pretrain.given.blimp import Paradigm
from phase01_foundation.project03_pretrain.given.encoding import bos_ids, encode
from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.given.multiple_choice import Question
from phase01_foundation.project03_pretrain.given.pretrained import publish_base
from phase01_foundation.project03_pretrain.scoring import Perplexity, perplexity
from shared import tinyworld

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
)
MODEL = example(replace(TINY, vocab_size=291, context_length=512))[0]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The command in a folder of its own, where the model is "tiny"."""
    monkeypatch.setenv("LADDER_WORK", str(tmp_path / "work"))
    monkeypatch.setenv("LADDER_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(
        blimp,
        "load_blimp",
        lambda: [Paradigm("one", "binding", [("He sat.", "He sit."), ("A cat.", "A cats.")])],
    )
    question = Question("The sky is", ("blue", "a mat", "nine", "sad"), 0)
    monkeypatch.setattr(multiple_choice, "load_hellaswag", lambda: [question] * 5)
    monkeypatch.setattr(multiple_choice, "load_arc_easy", lambda: [question])
    publish_base("tiny", MODEL, TOKENIZER, {"data": "none"})
    app = evaluate.typer.Typer()
    app.command()(evaluate.main)
    return lambda *words: CliRunner().invoke(app, ["--model", "tiny", "--dtype", "float32", *words])


def test_a_figure_that_json_has_no_word_for_is_null(run, monkeypatch):
    monkeypatch.setattr(evaluation, "perplexity", lambda *_, **__: Perplexity(1000.0, 5, 2, 10))
    done = run("--tasks", "perplexity", "--limit", "1")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout.splitlines()[-1], parse_constant=pytest.fail)["perplexity"]
    assert (figures["loss"], figures["per_token"], figures["per_word"]) == (1000.0, None, None)


def test_all_tasks_print_tables_and_one_line_of_json(run, tmp_path):
    file = tmp_path / "figures.json"
    done = run("--tasks", ",".join(evaluate.TASKS), "--limit", "1", "--json", str(file))
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout.splitlines()[-1])
    assert json.loads(file.read_text()) == figures
    assert list(figures) == ["model", "parameters", "dtype", *evaluate.TASKS]
    assert figures["parameters"] == MODEL.parameter_count()
    assert figures["blimp"]["pairs"] == 1
    assert figures["hellaswag"]["count"] == 1
    assert figures["skills"]["items"] == len(tinyworld.SKILLS)
    wrong = round(figures["skills"]["items"] * (1 - figures["skills"]["accuracy"]))
    assert sum(figures["skills"]["failures"].values()) == wrong
    for text in ("perplexity a word", "retrieval", "binding", "acc_norm", "chance is 25.0%", "chance is 50%"):
        assert text in done.stdout


def test_perplexity_is_that_of_the_documents(run):
    done = run("--tasks", "perplexity", "--limit", "2")
    texts = [tinyworld.document(index, "test").text for index in range(2)]
    ids = [id for text in texts for id in bos_ids(TOKENIZER) + encode(TOKENIZER, text)]
    expected = perplexity(
        MODEL, ids, MODEL.config.context_length // 2, words=sum(len(text.split()) for text in texts)
    )
    found = json.loads(done.stdout.splitlines()[-1])["perplexity"]
    assert found["loss"] == pytest.approx(expected.loss, rel=1e-5)
    assert found["per_word"] == pytest.approx(expected.per_word, rel=1e-4)


def test_without_a_limit_the_files_are_read_whole(run):
    figures = json.loads(run("--tasks", "blimp, hellaswag,arc_easy").stdout.splitlines()[-1])
    assert (figures["blimp"]["pairs"], figures["hellaswag"]["count"], figures["arc_easy"]["count"]) == (
        2,
        5,
        1,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--tasks", "mmlu"),
            "there is no task 'mmlu'; there is perplexity, skills, blimp, hellaswag, arc_easy",
        ),
        (("--model", "huge"), "there is no model 'huge'; there is tiny"),
        (("--dtype", "int8"), "unknown dtype 'int8'"),
        (("--device", "abacus"), "unknown device 'abacus'"),
        (("--json", "no/such/folder/a.json"), "there is no folder no/such/folder to write a.json to"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(run, words, message):
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not done.stdout


def test_a_perfect_model_has_no_table_of_failures(run, monkeypatch):
    def answers(model, tokenizer, split, per_skill, dtype):
        items = [one for group in tinyworld.evaluation(split, per_skill).values() for one in group]
        predictions = [one.answer for one in items]
        return tinyworld.score(items, predictions), items, predictions

    monkeypatch.setattr(evaluation, "skill_scores", answers)
    done = run("--tasks", "skills", "--limit", "1")
    assert "100.0% of 14 answers match exactly" in done.stdout
    assert "what it means" not in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["skills"]["failures"] == {}


def test_the_model_computes_in_the_dtype_asked(run):
    figures = json.loads(
        run("--tasks", "perplexity", "--limit", "1", "--dtype", "bfloat16").stdout.splitlines()[-1]
    )
    assert figures["dtype"] == "bfloat16"
