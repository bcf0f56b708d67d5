"""Phase 4, advanced inference."""
