"""Phase 10, deployment."""
