"""Cards of 450 pixels for a README: a project's figures, or those of all projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from web.charts.figures import Figures
from web.charts.language_bar import entries, segments
from web.charts.languages import shares
from web.charts.legend import legend
from web.charts.picture import MARGIN, Picture
from web.charts.shapes import bars
from web.charts.text import count, figure, fit, long_date, text_width, time_span

WIDTH = 450 - 2 * MARGIN
COLUMN = WIDTH // 3
NAMED = 5
FIGURES_TOP = 58
FIGURE_ROW = 48
BAR_HEIGHT = 8
UNKNOWN = "unknown"
SPARK_WIDTH, SPARK_HEIGHT = 96, 26


@dataclass(frozen=True)
class Card:
    """The content of a card; commits by month are those of the last twelve, oldest first."""

    title: str
    figures: Figures
    languages_loc: Mapping[str, int] = field(default_factory=dict)
    commits_by_month: Sequence[int] = ()
    subtitle: str = ""
    note: str = ""
    warning: str = ""


@dataclass(frozen=True)
class Tile:
    """A figure, its name, their positions, and all its digits."""

    x: int
    y: int
    value: str
    css_class: str
    name: str
    title: str


def _number_tile(value: int | None, name: str) -> tuple[str, str]:
    if value is None:
        return UNKNOWN, f"{name}: {UNKNOWN}"
    return figure(value, COLUMN - 8, 20, "bold"), f"{name}: {value:,}"


def _tiles(figures: Figures, top: int) -> list[Tile]:
    minutes, last = figures.time_spent_minutes, figures.last_commit
    span = UNKNOWN if minutes is None else time_span(minutes)
    spent = UNKNOWN if minutes is None else count(minutes, "minute")
    last_commit = UNKNOWN if last is None else last.isoformat()
    shown = (
        ("Lines of code", *_number_tile(figures.loc, "Lines of code")),
        ("Commits", *_number_tile(figures.commits, "Commits")),
        ("Active days", *_number_tile(figures.active_days, "Active days")),
        ("Code churn", *_number_tile(figures.churn, "Code churn")),
        ("Time spent", span, f"Time spent: {spent}"),
        (
            "Last commit",
            last_commit,
            f"Last commit: {long_date(last) if last else UNKNOWN}",
        ),
    )
    return [
        Tile(
            x=COLUMN * (index % 3),
            y=top + FIGURE_ROW * (index // 3),
            value=value,
            css_class="chart-unknown" if value == UNKNOWN else "chart-strong",
            name=name,
            title=title,
        )
        for index, (name, value, title) in enumerate(shown)
    ]


def _wrap(text: str, width: float, size: float) -> list[str]:
    """Break a text into lines; a word that is wider than a line is shortened."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else ""
        if lines and text_width(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(fit(word, width, size))
    return lines


def card(content: Card) -> Picture:
    """Draw a card: its title, six figures, commits of a year and languages."""
    found = shares(content.languages_loc, NAMED)
    total = sum(share.lines for share in found)
    placed = legend(entries(found, total), WIDTH)
    has_spark = any(content.commits_by_month)
    top = FIGURES_TOP if content.subtitle or has_spark else FIGURES_TOP - 20
    tiles = _tiles(content.figures, top)
    bar_top = top + 2 * FIGURE_ROW + 4
    legend_top = bar_top + BAR_HEIGHT + 12
    bottom = legend_top + placed.height if found else bar_top - 8
    lines = [(line, "") for line in _wrap(content.note, WIDTH, 12)]
    lines += [(line, "chart-warning") for line in _wrap(content.warning, WIDTH, 12)]
    footer = [(bottom + 16 + 18 * index, *line) for index, line in enumerate(lines)]
    room = WIDTH - (SPARK_WIDTH + 16 if has_spark else 0)
    pitch = SPARK_WIDTH / max(len(content.commits_by_month), 1)
    return Picture(
        template="card.svg",
        title=content.title,
        description="; ".join(tile.title for tile in tiles),
        width=WIDTH,
        height=bottom + (18 * len(lines) + 4 if lines else 0),
        values={
            "title": fit(content.title, room, 16, "bold"),
            "subtitle": fit(content.subtitle, room, 12),
            "tiles": tiles,
            "spark": bars(content.commits_by_month, pitch, SPARK_HEIGHT),
            "spark_x": WIDTH - SPARK_WIDTH,
            "spark_width": SPARK_WIDTH,
            "spark_base": SPARK_HEIGHT + 0.5,
            "spark_title": (
                f"{count(sum(content.commits_by_month), 'commit')} in "
                f"{count(len(content.commits_by_month), 'month')}"
            ),
            "has_spark": has_spark,
            "segments": segments(found, WIDTH, BAR_HEIGHT),
            "bar_top": bar_top,
            "legend": placed,
            "legend_top": legend_top,
            "footer": footer,
        },
        language_classes=frozenset(share.css_class for share in found),
    )


def notice(text: str, *, title: str = "Nothing to show") -> Picture:
    """Draw a picture with a message in place of another picture."""
    lines = _wrap(text, WIDTH, 12)
    return Picture(
        template="notice.svg",
        title=f"{title}: {text}",
        width=WIDTH,
        height=24 + 18 * len(lines),
        values={
            "title": fit(title, WIDTH, 16, "bold"),
            "lines": [(40 + 18 * index, line) for index, line in enumerate(lines)],
        },
    )
