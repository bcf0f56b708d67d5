"""What is given to the learner of project 14."""
