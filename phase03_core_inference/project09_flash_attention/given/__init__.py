"""What project 9 gives: kernels in C++, what launches the kernels of tasks, and the measurements."""
