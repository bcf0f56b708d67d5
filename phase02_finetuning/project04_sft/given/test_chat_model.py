"""A chat model in its folder, for us and for Hugging Face's tools; and a talk with it."""

import json
from dataclasses import replace

import pytest
import torch

from phase02_finetuning.project04_sft.answers import write_answers
from phase02_finetuning.project04_sft.given.chat_model import ChatModel, export_chat, load_chat, publish_chat
from phase02_finetuning.project04_sft.given.conversation import Conversation
from phase02_finetuning.project04_sft.given.example import TALK, TINY, random_model, small_tokenizer
from phase02_finetuning.project04_sft.given.jinja import JINJA
from phase02_finetuning.project04_sft.templates import TEMPLATES, render
from phase02_finetuning.project04_sft.turns import TooLongError, tokenize_turns
from shared.phase01 import publish_base

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def chat():
    # Of the size that the tokenizer knows, so that every answer is text.
    tokenizer = small_tokenizer()
    return ChatModel(
        random_model(replace(TINY, vocab_size=tokenizer.vocab_size), torch.float32), tokenizer, "tinyworld"
    )


def test_a_published_model_knows_its_template(chat):
    artifact = publish_chat("talker", chat, {"data": "none"})
    assert (artifact.folder / "chat_template.jinja").read_text() == JINJA["tinyworld"]
    found = load_chat("talker")
    assert found.template == "tinyworld"
    assert found.tokenizer.special_tokens == chat.tokenizer.special_tokens
    assert torch.equal(found.model.embedding.weight, chat.model.embedding.weight)
    assert load_chat("talker", "alpaca").template == "alpaca"
    with pytest.raises(ValueError, match="vicuna"):
        load_chat("talker", "vicuna")


def test_a_base_model_speaks_in_questions():
    bare = small_tokenizer(control=("<|endoftext|>",))
    publish_base("base", random_model(replace(TINY, vocab_size=291)), bare, {"data": "none"})
    assert load_chat("base").template == "question"
    with pytest.raises(ValueError, match=r"<\|user\|>"):
        load_chat("base", "tinyworld")


@pytest.mark.parametrize("template", TEMPLATES)
def test_transformers_opens_the_folder_and_answers_alike(tmp_path, chat, template):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    chat = chat._replace(template=template)
    export_chat(chat, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert tokenizer.apply_chat_template(TALK, tokenize=False) == render(TALK, template)
    asked = TALK[1:2]
    prompt = tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    assert prompt["input_ids"][0].tolist() == tokenize_turns(asked, chat.tokenizer, template, None, True).ids
    written = model.generate(**prompt, max_new_tokens=6)[0, prompt["input_ids"].shape[1] :]
    [ours] = write_answers(chat.model, chat.tokenizer, template, [asked], max_tokens=6)
    assert (
        tokenizer.decode(written, skip_special_tokens=False).replace(tokenizer.eos_token, "").strip()
        == ours.text
    )
    names = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert tokenizer.eos_token == names["eos_token"]
    assert model.generation_config.eos_token_id == chat.tokenizer.special_tokens[tokenizer.eos_token]


def test_a_talk_remembers_what_was_said(chat):
    talk = Conversation(chat, "Be brief.", max_tokens=6)
    first = "".join(talk.say("Who is Mia?"))
    assert talk.messages[0] == {"role": "user", "content": "Who is Mia?"}
    assert talk.messages[1]["content"] == (first.strip() or "…")
    second = "".join(talk.say("And where?"))
    system = {"role": "system", "content": "Be brief."}
    [expected] = write_answers(
        chat.model, chat.tokenizer, chat.template, [[system, *talk.messages[:3]]], max_tokens=6
    )
    assert second.strip() == expected.text
    assert [one["role"] for one in talk.messages] == ["user", "assistant"] * 2


def test_the_oldest_exchanges_are_forgotten_where_there_is_no_room(chat):
    talk = Conversation(chat, "Be brief.", max_tokens=10)
    for number in range(8):
        list(talk.say(f"This is number {number}."))
    assert talk.forgotten > 0
    assert talk.forgotten % 2 == 0
    assert len(talk.messages) == 16
    before = list(talk.messages)
    with pytest.raises(TooLongError):
        list(talk.say("word " * 200))
    with pytest.raises(ValueError):  # noqa: PT011 - the words are check_messages'
        list(talk.say(" "))
    assert talk.messages == before
