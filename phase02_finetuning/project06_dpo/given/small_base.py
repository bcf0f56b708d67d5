"""A small random chat model under a name, for tests of commands and for the smoke benchmark."""

import torch

from phase02_finetuning.project04_sft.given.chat_model import ChatModel, publish_chat
from phase02_finetuning.project06_dpo.given.example import small_chat


def publish_small(name: str = "tiny") -> ChatModel:
    """Publish the small chat model to the learner's own models, and return it."""
    chat = ChatModel(*small_chat(dtype=torch.float32))
    publish_chat(name, chat, {"data": "none", "settings": {"worked": False}})
    return chat
