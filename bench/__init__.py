"""The benchmarks: each file is one command that prints a table of ratios taken in one run."""
