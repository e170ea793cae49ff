"""The parts of a refresh: its rows, listing, tasks, queue, schedule and supervision."""
