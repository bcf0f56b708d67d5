"""Phase 1, foundation: a minimal GPT, a tokenizer, a base model trained from scratch."""
