"""What a learner of project 5 is given and need not write, with its tests."""
