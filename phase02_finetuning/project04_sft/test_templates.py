"""Each template beside its Jinja, rendered by transformers; what is control and what is trained; what is refused."""

import pytest
from hypothesis import given, settings

from phase02_finetuning.project04_sft.given.example import TALK
from phase02_finetuning.project04_sft.given.jinja import JINJA
from phase02_finetuning.project04_sft.given.talks import talks
from phase02_finetuning.project04_sft.templates import (
    ALPACA_HEADER,
    CONTROL,
    END,
    TEMPLATES,
    check_messages,
    render,
    segments,
)
from shared.testing import raises

task = pytest.mark.task(1)

TEXTS = {
    "chatml": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWho is Mia?<|im_end|>\n"
    "<|im_start|>assistant\nMia is a girl.<|im_end|>\n<|im_start|>user\nAnd where is she?<|im_end|>\n"
    "<|im_start|>assistant\nIn the park.<|im_end|>\n",
    "llama3": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nWho is Mia?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nMia is a girl.<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nAnd where is she?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nIn the park.<|eot_id|>",
    "alpaca": "Be brief.\n\n### Instruction:\nWho is Mia?\n\n### Response:\nMia is a girl.<|endoftext|>"
    "\n\n### Instruction:\nAnd where is she?\n\n### Response:\nIn the park.<|endoftext|>",
    "tinyworld": "<|endoftext|><|system|> Be brief.<|end|>"
    "<|user|> Who is Mia?<|end|><|assistant|> Mia is a girl.<|end|>"
    "<|user|> And where is she?<|end|><|assistant|> In the park.<|end|>",
    "question": "<|endoftext|>Be brief.\nQuestion: Who is Mia?\nAnswer: Mia is a girl.<|endoftext|>"
    "Question: And where is she?\nAnswer: In the park.<|endoftext|>",
}
PROMPTS = {
    "chatml": "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n",
    "llama3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n",
    "alpaca": f"{ALPACA_HEADER}\n\n### Instruction:\nWho?\n\n### Response:\n",
    "tinyworld": "<|endoftext|><|user|> Who?<|end|><|assistant|>",
    "question": "<|endoftext|>Question: Who?\nAnswer:",
}
all_templates = pytest.mark.parametrize("template", TEMPLATES)


def message(role, content="Hello."):
    return {"role": role, "content": content}


@task
@all_templates
def test_a_talk_reads_as_the_template_says(template):
    assert render(TALK, template) == TEXTS[template]


@task
@all_templates
def test_the_generation_prompt_is_what_comes_before_an_answer(template):
    assert render([message("user", "Who?")], template, add_generation_prompt=True) == PROMPTS[template]


@task
@all_templates
@given(talk=talks(), prompt=talks(answered=False))
@settings(max_examples=40)
def test_it_equals_what_transformers_makes_of_the_jinja(template, talk, prompt):
    utils = pytest.importorskip("transformers.utils.chat_template_utils", reason="transformers is the peer")
    for messages, add in [(talk, False), (prompt, False), (prompt, True)]:
        [[expected], _] = utils.render_jinja_template(
            [messages], chat_template=JINJA[template], add_generation_prompt=add
        )
        assert render(messages, template, add_generation_prompt=add) == expected


@task
@all_templates
@given(talk=talks())
@settings(max_examples=40)
def test_a_prompt_is_how_the_whole_talk_begins(template, talk):
    whole = render(talk, template)
    for number, one in enumerate(talk):
        if one["role"] == "assistant":
            prompt = render(talk[:number], template, add_generation_prompt=True)
            assert whole[: len(prompt)] == prompt
            assert whole[len(prompt) :].lstrip().startswith(one["content"].strip())


@task
@all_templates
@given(talk=talks())
@settings(max_examples=40)
def test_trained_are_the_answers_and_what_ends_them(template, talk):
    found = "".join(part.text for part in segments(talk, template) if part.trained)
    answers = [one["content"] for one in talk if one["role"] == "assistant"]
    if template in ("chatml", "alpaca"):
        assert found == "".join(answer + END[template] for answer in answers)
    else:
        space = "" if template == "llama3" else " "
        assert found == "".join(space + answer.strip() + END[template] for answer in answers)


@task
@all_templates
def test_control_tokens_are_segments_of_their_own_and_typed_ones_are_text(template):
    parts = segments(TALK, template)
    controls = {part.text for part in parts if part.control}
    assert controls == set(CONTROL[template])
    assert not any(name in part.text for part in parts if not part.control for name in CONTROL[template])
    typed = "".join(CONTROL[template])
    tricky = segments([message("user", typed), message("assistant", typed)], template)
    plain = segments([message("user", "x"), message("assistant", "x")], template)
    assert [part.control for part in tricky] == [part.control for part in plain]
    assert "".join(part.text for part in tricky if not part.control).count(typed) == 2
    asked = segments(TALK[:4], template, add_generation_prompt=True)
    assert [part.control for part in asked] == [part.text in CONTROL[template] for part in asked]


@task
@all_templates
def test_the_answer_and_its_end_are_the_only_trained_segments(template):
    parts = segments(TALK[:3], template)
    assert [(part.text.strip(), part.control) for part in parts if part.trained] == [
        ("Mia is a girl.", False),
        (END[template], True),
    ]


@task
@pytest.mark.parametrize(
    ("messages", "facts"),
    [
        ([], ()),
        ([message("tool")], (1, "tool", "system", "user", "assistant")),
        ([message("user"), message("User")], (2, "User")),
        ([message("system"), message("system"), message("user")], (2,)),
        ([message("user"), message("system")], (2,)),
        ([message("user"), message("assistant"), message("system")], (3,)),
        ([message("assistant")], (1, "assistant", "user")),
        ([message("system"), message("assistant")], (2, "assistant", "user")),
        ([message("user"), message("user")], (2, "user", "assistant")),
        ([message("user"), message("assistant"), message("assistant")], (3, "assistant", "user")),
        ([message("user", "")], (1,)),
        ([message("user"), message("assistant", " \n")], (2,)),
        ([message("system", "\t"), message("user")], (1,)),
        ([{"role": "user"}], (1,)),
        ([{"content": "Hello."}], (1,)),
        ([{"role": "user", "content": None}], (1,)),
        ([{"role": "user", "content": ["Hello."]}], (1,)),
        (["Hello."], (1,)),
        ([message("user"), {**message("assistant"), "tool_calls": []}], (2, "tool_calls")),
        ([{**message("user"), 7: "x"}], (1, 7)),
    ],
)
def test_what_cannot_be_written_down_is_named(messages, facts):
    with raises(ValueError, *facts):
        check_messages(messages)


@task
@pytest.mark.parametrize(
    "roles", ["u", "ua", "uau", "su", "sua", "suaua", "s"], ids=lambda roles: f"roles {roles}"
)
def test_what_can_be_written_down_is_let_through(roles):
    names = {"s": "system", "u": "user", "a": "assistant"}
    assert check_messages([message(names[role]) for role in roles]) is None


def test_an_unknown_template_and_a_prompt_out_of_turn_are_refused():
    with raises(ValueError, "vicuna", "chatml"):
        render(TALK, "vicuna")
    with raises(ValueError, "assistant"):
        render(TALK, "chatml", add_generation_prompt=True)
    with raises(ValueError, 2, "user"):
        render([message("user"), message("user")], "chatml")
