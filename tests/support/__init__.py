"""Real servers and repositories for the tests, and a fake of GitHub's API."""
