"""What project 3 gives: the trainer around your step, its data and settings, and the evaluations."""
