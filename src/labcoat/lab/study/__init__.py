"""The study file: every mistake told at once, with its line."""
