"""What project 1 gives: the settings and the record of a run, and the benchmark's peer."""
