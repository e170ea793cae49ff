"""The time of drawing pictures without a cache, up to those of twenty years.

    python -m bench.charts [--quick]

Each is drawn from plain data, as a file with its own styles, by turns with a year's calendar, to
which all are compared. The goal is 50 ms for the pictures of twenty years, in CPU seconds, so that
other programs on the machine do not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta

from bench.common import machine, parser, print_table
from tests.support.pictures import FIGURES, LANGUAGES, LAST, days, growth
from web import charts

GOAL_MS = 50
ROUNDS, QUICK_ROUNDS = 100, 5


def pictures() -> dict[str, Callable[[], str]]:
    """Return the functions that draw the pictures, the reference first."""
    commits, year = days(20), LAST - timedelta(days=364)
    months, projects = growth(240, list(LANGUAGES)), growth(240, [f"p{n}" for n in range(100)])
    card = charts.Card("redis-py", FIGURES, LANGUAGES, range(12))
    return {
        "calendar, one year": lambda: charts.calendar(commits, year, LAST).document(),
        "calendar, twenty years": lambda: charts.calendar(
            commits, date(LAST.year - 19, 1, 1), LAST
        ).document(),
        "growth, 240 months by language": lambda: charts.growth_by_language(months).document(),
        "growth, 240 months of 100 projects": lambda: charts.growth_by_project(projects).document(),
        "languages": lambda: charts.language_bar(LANGUAGES).document(),
        "card": lambda: charts.card(card).document(),
        "badge": lambda: charts.figure_badge("loc", FIGURES).svg(),
    }


def measure(made: dict[str, Callable[[], str]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the medians of the clock's and of the CPU's milliseconds for each picture."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
    for make in made.values():
        make()  # Compiles its template and reads its files, as the first request does.
    for _ in range(rounds):
        for name, make in made.items():
            wall, cpu = time.perf_counter(), time.process_time()
            make()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: (
            1000 * statistics.median(wall for wall, _ in each),
            1000 * statistics.median(cpu for _, cpu in each),
        )
        for name, each in taken.items()
    }


def main() -> None:
    """Measure and print."""
    rounds = QUICK_ROUNDS if parser(__doc__).parse_args().quick else ROUNDS
    made = pictures()
    taken = measure(made, rounds)
    _, measure_of_all = next(iter(taken.values()))
    print(machine())
    print_table(
        f"Pictures made anew, medians of {rounds}",
        ("picture", "kB", "ms", "CPU ms", "to a year's calendar", f"of {GOAL_MS} ms"),
        [
            (name, len(made[name]()) / 1000, wall, cpu, cpu / measure_of_all, cpu / GOAL_MS)
            for name, (wall, cpu) in taken.items()
        ],
    )


if __name__ == "__main__":
    main()
