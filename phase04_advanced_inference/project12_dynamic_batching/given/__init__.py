"""What a learner is given and need not write."""
