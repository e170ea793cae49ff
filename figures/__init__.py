"""The figures in answers: projects, and the rollup across them, read from the database only."""
