"""Fuzzing: many made-up inputs, and for each a documented answer or an error of ours."""
