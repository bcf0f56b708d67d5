import json
from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from phase01_foundation.project01_minimal_gpt.sampling import SamplingParams
from phase01_foundation.project01_minimal_gpt.tokenizer import CharTokenizer
from phase01_foundation.project02_tokenizer.byte_bpe import ByteBPE
from phase01_foundation.project02_tokenizer.tokenizer import Tokenizer
from phase01_foundation.project03_pretrain import generate
from phase01_foundation.project03_pretrain.export import export
from phase01_foundation.project03_pretrain.given.encoding import PromptTokenizer
from phase01_foundation.project03_pretrain.given.example import TINY, example
from phase01_foundation.project03_pretrain.given.pretrained import publish_base
from phase01_foundation.project03_pretrain.scoring import greedy_batch
from shared import tinyworld
from shared.command import printable

pytestmark = pytest.mark.usefixtures("own_folders")

TOKENIZER = Tokenizer(
    ByteBPE.train([tinyworld.text("train", 0, 20_000)], 290, native=False), {"<|endoftext|>": 290}
)
MODEL = example(replace(TINY, vocab_size=291, context_length=64))[0].eval()
RULE = "─" * 40 + "\n"


@pytest.fixture
def run():
    """The command, with a model "tiny"."""
    publish_base("tiny", MODEL, TOKENIZER, {"data": "none"})
    app = generate.typer.Typer()
    app.command()(generate.main)
    return lambda *words: CliRunner().invoke(app, ["--model", "tiny", *words])


def greedy(prompt: str, count: int) -> str:
    """What the model says most likely, by the evaluation's own decoding."""
    [ids] = greedy_batch(MODEL, [[290, *TOKENIZER.encode(prompt)]], count, {290})
    return printable(TOKENIZER.decode(ids))


def test_it_goes_on_from_a_text_that_begins_as_in_training(run):
    done = run("--prompt", "It was", "--temperature", "0", "--max-tokens", "12")
    assert done.exit_code == 0, done.output
    assert done.stdout == "It was" + greedy("It was", 12) + "\n"
    assert "model: tiny, yours" in done.stderr


def test_without_a_prompt_a_text_begins(run):
    assert run("--temperature", "0", "--max-tokens", "5").stdout == greedy("", 5) + "\n"


def test_several_prompts_are_written_as_each_alone(run):
    words = ("--max-tokens", "10", "--seed", "3")
    alone = [run("--prompt", text, *words).stdout for text in ("Once", "It was\n")]
    together = run("--prompt", "Once", "--prompt", "It was\\n", *words).stdout
    assert together == RULE + alone[0] + RULE + alone[1]
    assert alone[0] != run("--prompt", "Once", "--max-tokens", "10", "--seed", "4").stdout


def test_a_question_has_the_form_of_tinyworlds_items(run):
    item = tinyworld.item(0, "test")
    assert generate.question_prompt(item.prompt) == item.query
    done = run("--question", "Why?", "--max-tokens", "12")
    prompt = generate.question_prompt("Why?")
    assert done.stdout == prompt + greedy(prompt, 12).partition("\nQuestion")[0] + "\n"


def test_answers_end_before_the_next_question_and_are_greedy(monkeypatch, run):
    seen = []
    monkeypatch.setattr(generate, "write", lambda writer, prompts, params: seen.append((prompts, params)))
    run("--question", "Why?", "--question", "Who?", "--stop", ".")
    run("--prompt", "a\\nb", "--top-k", "5", "--top-p", "0.9", "--repetition-penalty", "1.5")
    run("--question", "Why?", "--temperature", "1.5")
    [(questions, asked), (texts, written), (_, warm)] = seen
    assert questions == ["Question: Why?\nAnswer:", "Question: Who?\nAnswer:"]
    assert asked == SamplingParams(400, 0.0, stop=(".", "\nQuestion"), stop_ids=(290,))
    assert texts == ["a\nb"]
    assert written == SamplingParams(400, 0.7, 5, 0.9, 1.5, stop_ids=(290,))
    assert warm.temperature == 1.5


def test_a_text_ends_where_the_model_ends_it(monkeypatch, run, capsys):
    ending = generate.load("tiny")
    assert ending.ends == (290,)
    logits = torch.zeros(1, 1, 291)
    logits[..., 290] = 1.0
    monkeypatch.setattr(
        type(ending.model), "forward", lambda self, tokens, **_: logits.expand(*tokens.shape, -1)
    )
    capsys.readouterr()
    generate.write(ending, ["Once"], SamplingParams(20, 0.0, stop_ids=ending.ends))
    assert capsys.readouterr().out == "Once\n"


def test_a_terminal_gets_no_control_characters(monkeypatch, run):
    escape = TOKENIZER.encode("\x1b")[0]
    logits = torch.zeros(1, 1, 291)
    logits[..., escape] = 1.0
    monkeypatch.setattr(type(MODEL), "forward", lambda self, tokens, **_: logits.expand(*tokens.shape, -1))
    words = ("--temperature", "0", "--max-tokens", "2")
    assert run("--prompt", "a\r\\n", *words).stdout == "a\\x0d\n" + "\\x1b" * 2 + "\n"
    assert run("--prompt", "a", "--prompt", "\x07", *words).stdout == (
        RULE + "a" + "\\x1b" * 2 + "\n" + RULE + "\\x07" + "\\x1b" * 2 + "\n"
    )


def test_a_folder_of_hugging_faces_form_writes_the_same(run, tmp_path):
    export(MODEL, TOKENIZER, tmp_path / "out")
    words = ("--prompt", "The", "--temperature", "0", "--max-tokens", "8")
    assert run("--model", str(tmp_path / "out"), *words).stdout == run(*words).stdout


def test_config_json_says_where_texts_begin_and_end(tmp_path):
    export(MODEL, TOKENIZER, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for begins, ends, expected in ((7, [3, 4], ([7], (3, 4))), (None, None, ([], ()))):
        changed = config | {"bos_token_id": begins, "eos_token_id": ends}
        (tmp_path / "config.json").write_text(json.dumps(changed))
        writer = generate.open_folder(tmp_path)
        assert (writer.tokenizer.start, writer.ends) == expected
        assert not writer.model.training


@pytest.mark.parametrize("name", ["bos_token_id", "eos_token_id"])
@pytest.mark.parametrize("odd", [291, -1, 1.0, True, "1", [1, 291], {"id": 1}, [[1]]])
def test_ids_outside_the_model_are_refused_before_any_text(run, tmp_path, name, odd):
    export(MODEL, TOKENIZER, tmp_path / "out")
    path = tmp_path / "out" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: odd}))
    refused = run("--model", str(tmp_path / "out"))
    assert refused.exit_code == 2
    assert not refused.stdout
    assert f"{name} {odd!r}; the model knows the ids from 0 to 290" in refused.stderr


def test_ids_that_the_tokenizer_lacks_are_left_out(tmp_path, run):
    """An embedding of three times the rows, as one that was padded for speed."""
    wide = example(replace(TINY, vocab_size=900, context_length=64))[0]
    export(wide, TOKENIZER, tmp_path / "wide")
    for prompts in (("--prompt", "It"), ("--prompt", "It", "--prompt", "was")):
        words = ("--model", str(tmp_path / "wide"), "--temperature", "50", "--max-tokens", "60", *prompts)
        done = run(*words)
        assert done.exit_code == 0, done.output


def test_what_looks_like_a_special_token_in_a_prompt_is_text():
    prompts = PromptTokenizer(TOKENIZER)
    ids = prompts.encode("a<|endoftext|>")
    assert ids[0] == 290 not in ids[1:]
    assert prompts.decode(ids[1:]) == "a<|endoftext|>"
    letters = Tokenizer(CharTokenizer("ab"))
    assert PromptTokenizer(letters).encode("ab") == [0, 1]
    assert PromptTokenizer(letters).start == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--prompt", "a", "--question", "b"), "give --prompt or --question, not both"),
        (("--max-tokens", "0"), "max_tokens must be at least 1, not 0"),
        (("--prompt", "word " * 100), "the model reads at most 64"),
        (("--model", "huge"), "there is no model 'huge'; there is tiny"),
        (("--model", "no/such"), "there is no folder no/such"),
        (("--device", "abacus"), "unknown device 'abacus'"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(run, words, message):
    done = run(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not done.stdout


def test_a_folder_that_does_not_fit_together_is_refused(run, tmp_path):
    export(MODEL, TOKENIZER, tmp_path / "out")
    (tmp_path / "out" / "tokenizer.json").unlink()
    missing = run("--model", str(tmp_path / "out"))
    assert missing.exit_code == 2
    assert "tokenizer.json: No such file" in missing.stderr
    export(MODEL, TOKENIZER, tmp_path / "out")
    smaller = example(replace(TINY, vocab_size=100))[0]
    export(smaller, TOKENIZER, tmp_path / "less")
    refused = run("--model", str(tmp_path / "less"))
    assert refused.exit_code == 2
    assert "has ids up to 290; the model knows those below 100" in refused.stderr.replace("\n", " ")
