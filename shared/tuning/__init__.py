"""Data for fine-tuning, made and not found: a package for each world."""
