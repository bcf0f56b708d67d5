"""The small package that every project of LLM Ladder stands on."""
