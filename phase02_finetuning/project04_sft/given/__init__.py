"""What a learner is given in project 4."""
