"""Project 1, minimal GPT: a character-level language model, from tokenizer to sampled text."""
