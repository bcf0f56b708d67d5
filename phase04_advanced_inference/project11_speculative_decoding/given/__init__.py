"""What a learner of project 11 is given."""
