"""One side of a comparison each, in a process and an environment of its own."""
