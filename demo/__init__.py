"""The demo: a made-up account on a fake GitHub, measured and served by the real service."""
