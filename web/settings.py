"""The settings of the application that answers a request."""

from __future__ import annotations

from flask import current_app

from config import PrivateMode, Settings


def current_settings() -> Settings:
    """Return the settings of the current application."""
    settings: Settings = current_app.config["SETTINGS"]
    return settings


def private_mode() -> PrivateMode:
    """Return how the current application treats private repositories."""
    return current_settings().private_repositories
