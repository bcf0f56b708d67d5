"""What a learner of project 6 is given and need not write."""
