"""Phase 2, fine-tuning."""
