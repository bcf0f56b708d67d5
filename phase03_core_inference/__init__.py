"""Phase 3, core inference."""
