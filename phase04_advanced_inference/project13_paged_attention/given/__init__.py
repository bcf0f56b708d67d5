"""What a learner of project 13 is given."""
