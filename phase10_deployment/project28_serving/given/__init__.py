"""What a learner of project 28 is given."""
