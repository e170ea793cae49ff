"""The demo: a made-up account on a stand-in for GitHub, measured and served by the real service."""
