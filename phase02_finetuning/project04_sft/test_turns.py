"""Ids and labels beside transformers' own; the end of a turn; typed control tokens; what does not fit."""

import pytest
from hypothesis import given, settings

from phase02_finetuning.project04_sft.given.example import (
    ALL_CONTROL,
    TALK,
    hugging_face_tokenizer,
    small_tokenizer,
)
from phase02_finetuning.project04_sft.given.jinja import JINJA
from phase02_finetuning.project04_sft.given.talks import plain_talks, talks
from phase02_finetuning.project04_sft.templates import CONTROL, END, TEMPLATES, render, segments
from phase02_finetuning.project04_sft.turns import TooLongError, tokenize_all, tokenize_turns
from shared.phase01 import IGNORED, ByteBPE, Tokenizer
from shared.testing import raises

task = pytest.mark.task(2)
all_templates = pytest.mark.parametrize("template", TEMPLATES)


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    pytest.importorskip("transformers", reason="transformers, the peer, is not installed")
    return {
        pattern: hugging_face_tokenizer(small_tokenizer(pattern), tmp_path_factory.mktemp(pattern))
        for pattern in ("gpt2", "llama3")
    }


@task
@all_templates
@given(talk=plain_talks())
@settings(max_examples=30)
def test_ids_and_labels_equal_those_of_transformers(peer, template, talk):
    # GPT-2's pattern cuts the two line ends of Llama 3's header in another way before a word than at an end.
    pattern = "llama3" if template == "llama3" else "gpt2"
    expected = peer[pattern].apply_chat_template(
        talk,
        chat_template=JINJA[template],
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ids, labels = tokenize_turns(talk, small_tokenizer(pattern), template)
    assert ids == expected["input_ids"]
    masks = expected["assistant_masks"]
    assert labels == [id if trained else IGNORED for id, trained in zip(ids, masks, strict=True)]


@task
def test_ordinary_text_side_by_side_is_encoded_as_one_text():
    """The line end behind "user" and the one that a message begins with are a pair, one token of this tokenizer."""
    model = ByteBPE.train(["a\n\n\nb" * 50], 257, "gpt2", native=False)
    tokenizer = Tokenizer(model, {name: 257 + number for number, name in enumerate(CONTROL["chatml"])})
    talk = [{"role": "user", "content": "\n\nWho?"}, {"role": "assistant", "content": "I."}]
    ids = tokenize_turns(talk, tokenizer, "chatml").ids
    assert ids.count(256) == 1
    assert tokenizer.decode(ids) == render(talk, "chatml")


@task
@all_templates
@given(talk=talks())
@settings(max_examples=30)
def test_the_ids_are_the_text_and_the_labels_are_every_answer(template, talk):
    tokenizer = small_tokenizer()
    ids, labels = tokenize_turns(talk, tokenizer, template)
    assert tokenizer.decode(ids) == render(talk, template)
    assert len(labels) == len(ids)
    assert all(label in (id, IGNORED) for id, label in zip(ids, labels, strict=True))
    trained = tokenizer.decode([label for label in labels if label != IGNORED])
    assert trained == "".join(part.text for part in segments(talk, template) if part.trained)


@task
@all_templates
def test_the_end_of_every_answer_is_trained_and_that_of_no_question(template):
    tokenizer = small_tokenizer()
    ids, labels = tokenize_turns(TALK, tokenizer, template)
    end = tokenizer.special_tokens[END[template]]
    assert labels.count(end) == 2
    assert labels[-1 if template != "chatml" else -2] == end
    first = ids.index(next(label for label in labels if label != IGNORED))
    assert labels[:first] == [IGNORED] * first


@task
@all_templates
@given(talk=talks())
@settings(max_examples=30)
def test_the_prompt_of_an_answer_is_how_the_ids_of_the_whole_begin(template, talk):
    tokenizer = small_tokenizer()
    ids, labels = tokenize_turns(talk, tokenizer, template)
    for number, one in enumerate(talk):
        if one["role"] == "assistant":
            prompt, none = tokenize_turns(talk[:number], tokenizer, template, add_generation_prompt=True)
            assert ids[: len(prompt)] == prompt
            assert set(labels[len(prompt) :]) != {IGNORED}
            assert labels[len(prompt)] == ids[len(prompt)], "what comes next is the answer's first token"
            if number < 2:
                assert none == [IGNORED] * len(prompt)


@task
@all_templates
def test_typed_control_tokens_are_text(template):
    tokenizer = small_tokenizer()
    specials = set(tokenizer.special_tokens.values())
    typed = "".join(ALL_CONTROL)
    talk = [{"role": role, "content": f"a{typed}b"} for role in ("system", "user", "assistant")]
    harmless = [{"role": role, "content": "ab"} for role in ("system", "user", "assistant")]
    ids, _ = tokenize_turns(talk, tokenizer, template)
    expected, _ = tokenize_turns(harmless, tokenizer, template)
    assert [id for id in ids if id in specials] == [id for id in expected if id in specials]
    assert tokenizer.decode(ids) == render(talk, template)


@task
@all_templates
def test_a_talk_begins_once(template):
    tokenizer = small_tokenizer()
    ids, _ = tokenize_turns(TALK, tokenizer, template)
    begin = tokenizer.special_tokens[CONTROL[template][0]]
    first_part = segments(TALK, template)[0]
    assert (ids[0] == begin) == first_part.control
    assert not (ids[0] == begin and ids[1] == begin)


@task
def test_ordinary_text_is_encoded_together_up_to_the_answer():
    tokenizer = small_tokenizer()
    ids, _ = tokenize_turns(TALK[1:3], tokenizer, "chatml")
    start, end = tokenizer.special_tokens["<|im_start|>"], tokenizer.special_tokens["<|im_end|>"]
    assert ids == [
        start, *tokenizer.encode("user\nWho is Mia?"), end, *tokenizer.encode("\n"),
        start, *tokenizer.encode("assistant\n"), *tokenizer.encode("Mia is a girl."), end, *tokenizer.encode("\n"),
    ]  # fmt: skip
    spaced, _ = tokenize_turns(TALK[1:3], tokenizer, "question")
    assert spaced[1:-1] == [
        *tokenizer.encode("Question: Who is Mia?\nAnswer:"), *tokenizer.encode(" Mia is a girl."),
    ]  # fmt: skip


@task
def test_what_is_too_long_is_refused_whole():
    tokenizer = small_tokenizer()
    example = tokenize_turns(TALK, tokenizer, "tinyworld")
    size = len(example.ids)
    assert tokenize_turns(TALK, tokenizer, "tinyworld", size) == example
    with raises(TooLongError, size, size - 1):
        tokenize_turns(TALK, tokenizer, "tinyworld", size - 1)


@task
def test_of_many_those_that_are_too_long_are_counted():
    tokenizer = small_tokenizer()
    short, long = TALK[1:3], TALK
    size = len(tokenize_turns(short, tokenizer, "tinyworld").ids)
    examples, too_long = tokenize_all(iter([long, short, long, short, long]), tokenizer, "tinyworld", size)
    assert examples == [tokenize_turns(short, tokenizer, "tinyworld")] * 2
    assert too_long == 3
    assert tokenize_all([], tokenizer, "tinyworld", size) == ([], 0)
    with raises(ValueError, 1):
        tokenize_all([short, [{"role": "user", "content": ""}]], tokenizer, "tinyworld", size)


@task
def test_a_talk_without_an_answer_teaches_nothing():
    with raises(ValueError):
        tokenize_turns(TALK[:2], small_tokenizer(), "tinyworld")
    assert tokenize_turns(TALK[:2], small_tokenizer(), "tinyworld", add_generation_prompt=True).ids


@task
def test_a_tokenizer_without_the_control_tokens_is_refused():
    bare = Tokenizer(small_tokenizer().model, {"<|endoftext|>": 290, "<|user|>": 291})
    with raises(ValueError, "<|system|>", "<|assistant|>", "<|end|>"):
        tokenize_turns(TALK, bare, "tinyworld")
    assert tokenize_turns(TALK, bare, "question").ids[0] == 290
