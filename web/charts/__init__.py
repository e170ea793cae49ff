"""Pictures of figures: plain data in, SVG out; independent of Flask, the database and the time."""

from web.charts.badge import BADGE_FIGURES, Badge, error_badge, figure_badge
from web.charts.calendar import calendar
from web.charts.card import Card, card, notice
from web.charts.figures import Figures
from web.charts.growth import Period, growth_by_language, growth_by_project
from web.charts.language_bar import language_bar
from web.charts.languages import language_class
from web.charts.picture import Picture, Theme

__all__ = [
    "BADGE_FIGURES",
    "Badge",
    "Card",
    "Figures",
    "Period",
    "Picture",
    "Theme",
    "calendar",
    "card",
    "error_badge",
    "figure_badge",
    "growth_by_language",
    "growth_by_project",
    "language_bar",
    "language_class",
    "notice",
]
