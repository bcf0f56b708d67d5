"""Phase 5, quantization."""
