"""What project 2 gives: the same in C++, training of any kind, tokenizers of others, a small example."""
