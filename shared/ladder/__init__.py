"""The `ladder` command: the learner's, the instructor's and the maintainer's way through the projects."""
