"""Real servers and repositories for the tests: no part of them pretends."""
