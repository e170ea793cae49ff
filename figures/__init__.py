"""What answers say: projects, the rollup across them, read from the database and nothing else."""
