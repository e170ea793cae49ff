"""The parts of a refresh: its rows, its plan, its queue, its schedule and its supervision."""
