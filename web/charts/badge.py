"""Badges in shields.io's flat form, and the JSON from which shields.io draws them itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from web.charts.figures import Figures
from web.charts.languages import language_colour
from web.charts.picture import render
from web.charts.text import FONT_FAMILY, clean, text_width, time_span

BLUE, GREY, RED, LABEL = "#007ec6", "#9f9f9f", "#e05d44", "#555555"
PADDING = 5
# From shields.io's badge-maker: above it a dark text is easier to read.
BRIGHT = 0.69


@dataclass(frozen=True)
class Badge:
    """A badge: a label on the left, a message on a colour on the right."""

    label: str
    message: str
    colour: str = BLUE
    is_error: bool = False

    def svg(self) -> str:
        """Return the badge as an SVG file."""
        label, message = (clean(text) for text in (self.label, self.message))
        label_length, message_length = (round(text_width(text), 1) for text in (label, message))
        left, right = (round(length + 2 * PADDING) for length in (label_length, message_length))
        dark = _brightness(self.colour) > BRIGHT
        return render(
            "badge.svg",
            {
                "label": label,
                "message": message,
                "left": left,
                "right": right,
                "width": left + right,
                # In tenths of a pixel, so that letters stay aligned at any zoom.
                "label_x": left * 5,
                "message_x": left * 10 + right * 5,
                "label_length": round(label_length * 10),
                "message_length": round(message_length * 10),
                "label_colour": LABEL,
                "colour": self.colour,
                "text_colour": "#333" if dark else "#fff",
                "shadow_colour": "#ccc" if dark else "#010101",
                "font": FONT_FAMILY,
            },
        )

    def endpoint(self) -> dict[str, object]:
        """Return the badge by shields.io's endpoint schema."""
        answer: dict[str, object] = {
            "schemaVersion": 1,
            "label": self.label,
            "message": self.message,
            "color": self.colour.removeprefix("#"),
        }
        return answer | {"isError": True} if self.is_error else answer


def _brightness(colour: str) -> float:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return (red * 299 + green * 587 + blue * 114) / 255_000


def _number(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


_MESSAGES: Mapping[str, tuple[str, Callable[[Figures], str | None]]] = {
    "loc": ("lines of code", lambda f: _number(f.loc)),
    "commits": ("commits", lambda f: _number(f.commits)),
    "active-days": ("active days", lambda f: _number(f.active_days)),
    "churn": ("code churn", lambda f: _number(f.churn)),
    "own-commits": ("own commits", lambda f: _number(f.own_commits)),
    "own-active-days": ("own active days", lambda f: _number(f.own_active_days)),
    "own-churn": ("own code churn", lambda f: _number(f.own_churn)),
    "bot-commits": ("bot commits", lambda f: _number(f.bot_commits)),
    "time-spent": (
        "time spent",
        lambda f: None if f.time_spent_minutes is None else time_span(f.time_spent_minutes),
    ),
    "last-commit": (
        "last commit",
        lambda f: None if f.last_commit is None else f.last_commit.isoformat(),
    ),
    "language": ("language", lambda f: f.language),
}
BADGE_FIGURES = tuple(_MESSAGES)


def figure_badge(name: str, figures: Figures) -> Badge:
    """Return the badge of a figure named in BADGE_FIGURES; KeyError for any other."""
    label, read = _MESSAGES[name]
    message = read(figures)
    if message is None:
        return Badge(label, "unknown", GREY)
    colour = language_colour(message) or GREY if name == "language" else BLUE
    return Badge(label, message, colour)


def error_badge(label: str, message: str) -> Badge:
    """Return a badge with an error, such as `project: not found`."""
    return Badge(label, message, RED, is_error=True)
