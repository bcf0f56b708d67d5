"""What a learner of project 29 is given."""
