"""What a learner of project 7 is given."""
