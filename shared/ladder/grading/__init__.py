"""How submissions are graded: read, run in a sandbox among canaries, and judged."""
