"""The settings: accepted and refused values, and their messages."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from flask_cors.core import probably_regex
from redis import Redis
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from config import (
    VARIABLES,
    GrowthMode,
    LogFormat,
    PrivateMode,
    Settings,
    available_cores,
    read_settings,
)
from errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
SECRET = "hunter2secret"


def refusal(name: str, value: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_settings({name: value})
    message = str(caught.value)
    assert message.startswith(name)
    assert "; expected " in message
    assert "\n" not in message
    assert message.isascii()
    return message


class TestDefaults:
    def test_nothing_set(self):
        settings = read_settings({})
        assert settings == Settings(
            github_access_token=None,
            github_api_url="https://api.github.com",
            github_owners=None,
            include_forks=False,
            include_archived=True,
            include_repositories=None,
            exclude_repositories=None,
            database_url=f"sqlite:///{ROOT / 'db.sqlite'}",
            redis_url=None,
            port=5001,
            host="127.0.0.1",
            allowed_hosts=None,
            cloc_path=None,
            preload_cloc=True,
            cors_origins=(
                "http://127.0.0.1:5500",
                "http://localhost:5500",
                "http://localhost:3000",
            ),
            refresh_interval_hours=24,
            refresh_min_interval=60,
            force_min_interval=3600,
            refresh_token=None,
            github_webhook_secret=None,
            exclude_dirs=(
                ".idea",
                ".mypy_cache",
                ".pytest_cache",
                ".venv",
                ".vscode",
                "__pycache__",
                "bower_components",
                "build",
                "dist",
                "node_modules",
                "venv",
            ),
            exclude_generated=False,
            author_emails=None,
            growth=GrowthMode.MONTH,
            private_repositories=PrivateMode.SHOW,
            clone_timeout=600,
            measure_timeout=600,
            measure_memory_mb=2560,
            max_repo_mb=2048,
            refresh_concurrency=available_cores(),
            fetch_concurrency=max(24, available_cores()),
            trusted_proxies=0,
            log_format=LogFormat.TEXT,
            search_path=os.defpath,
        )

    @pytest.mark.parametrize("empty", ["", "  "])
    def test_an_empty_value_is_the_default_but_excludes_nothing(self, empty: str):
        settings = read_settings({variable.name: empty for variable in VARIABLES})
        assert settings.exclude_dirs == ()
        unset = read_settings({"EXCLUDE_DIRS": ""})
        assert settings == unset

    def test_a_mapping_replaces_the_environment(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("PORT", "6001")
        assert read_settings().port == 6001
        assert read_settings().search_path == os.environ["PATH"]
        assert read_settings({"PATH": "/opt/bin"}).port == 5001
        assert read_settings({"PATH": "/opt/bin"}).search_path == "/opt/bin"

    def test_each_setting_but_the_path_has_its_variable(self):
        names = {variable.name.lower() for variable in VARIABLES}
        assert names | {"search_path"} == {field.name for field in fields(Settings)}

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no processor affinity here")
    def test_only_cores_that_may_be_used_are_counted(self):
        code = (
            "import os, config; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
            "print(config.read_settings({}).refresh_concurrency)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout == "1\n"


class TestSecrets:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("GITHUB_ACCESS_TOKEN", f"{SECRET} x"),
            ("GITHUB_ACCESS_TOKEN", f"{SECRET}\nx"),
            ("GITHUB_ACCESS_TOKEN", f"{SECRET}\udcff"),
            ("REFRESH_TOKEN", f"{SECRET}é"),
            ("DATABASE_URL", f"mysql://u:{SECRET}@h/x"),
            ("DATABASE_URL", f"postgres://u:{SECRET}@h:port/x"),
            ("DATABASE_URL", f"postgres://u:{SECRET}@h:99999/x"),
            ("DATABASE_URL", f"postgres://u:{SECRET}@h"),
            ("DATABASE_URL", SECRET),
            ("DATABASE_URL", f"{SECRET}\0"),
            ("REDIS_URL", f"redis://:{SECRET}@h:port"),
            ("REDIS_URL", f"redis://:{SECRET}@[h"),
            ("REDIS_URL", f"http://:{SECRET}@h"),
            ("REDIS_URL", f"redis://:{SECRET}@h/x"),
            ("GITHUB_API_URL", f"https://u:{SECRET}@api.github.com"),
            ("GITHUB_API_URL", f"https://u:{SECRET}@h:port"),
        ],
    )
    def test_a_refusal_does_not_show_them(self, name: str, value: str):
        with pytest.raises(ConfigError) as caught:
            read_settings({name: value})
        assert SECRET not in str(caught.value)
        # A traceback would print what the error came from.
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
        refusal(name, value)

    def test_the_settings_do_not_show_them(self):
        settings = read_settings(
            {
                "GITHUB_ACCESS_TOKEN": SECRET,
                "REFRESH_TOKEN": SECRET,
                "DATABASE_URL": f"postgres://u:{SECRET}@h/x",
                "REDIS_URL": f"redis://:{SECRET}@h",
            }
        )
        assert SECRET not in repr(settings)
        assert settings.github_access_token == settings.refresh_token == SECRET


class TestTokens:
    def test_spaces_around_are_dropped(self):
        assert read_settings({"GITHUB_ACCESS_TOKEN": " ghp_a1 \n"}).github_access_token == "ghp_a1"


class TestGitHubUrl:
    @pytest.mark.parametrize(
        ("value", "url"),
        [
            ("https://git.example.com/api/v3/", "https://git.example.com/api/v3"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.3.2.1/", "http://127.3.2.1"),
            ("http://localhost:1", "http://localhost:1"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ],
    )
    def test_accepted(self, value: str, url: str):
        assert read_settings({"GITHUB_API_URL": value}).github_api_url == url

    @pytest.mark.parametrize(
        ("value", "fault"),
        [
            ("http://api.github.com", "plain http"),
            ("http://127.0.0.1.example.com", "plain http"),
            ("http://localhost.example.com", "plain http"),
            ("https://", "no host"),
            ("https:///x", "no host"),
            ("api.github.com", "https://"),
            ("ftp://api.github.com", "https://"),
            ("https://h:0/", "port 0"),
            ("https://h:70000", "cannot be read"),
            ("https://h:x", "cannot be read"),
            ("https://h?x=1", "query"),
            ("https://h#x", "fragment"),
            ("https://h/a b", "space"),
            ("http://localhost\\.example.com", "backslash"),
        ],
    )
    def test_refused(self, value: str, fault: str):
        assert fault in refusal("GITHUB_API_URL", value)


class TestDatabaseUrl:
    @pytest.mark.parametrize(
        ("value", "url"),
        [
            ("postgres://u:p%40@h:5432/x", "postgresql+psycopg2://u:p%40@h:5432/x"),
            ("postgresql://h/x?sslmode=require", "postgresql+psycopg2://h/x?sslmode=require"),
            ("postgresql+psycopg2://h/x", "postgresql+psycopg2://h/x"),
            ("PostgreSQL:///x?host=/run/pg", "postgresql+psycopg2:///x?host=/run/pg"),
            ("sqlite:///other.sqlite", f"sqlite:///{ROOT / 'other.sqlite'}"),
            ("sqlite:///tests/x.db?timeout=5", f"sqlite:///{ROOT / 'tests/x.db'}?timeout=5"),
            ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
            ("sqlite://", "sqlite://"),
            ("sqlite:///:memory:", "sqlite:///:memory:"),
        ],
    )
    def test_accepted(self, value: str, url: str):
        assert read_settings({"DATABASE_URL": value}).database_url == url

    def test_a_path_with_odd_characters_stays_the_same_file(self, tmp_path: Path):
        folder = tmp_path / "a b%20?#é"
        folder.mkdir()
        given = make_url("sqlite://").set(database=str(folder / "x.db"))
        url = read_settings({"DATABASE_URL": given.render_as_string()}).database_url
        engine = create_engine(url)
        with engine.connect() as connection:
            connection.execute(text("create table t (x)"))
        engine.dispose()
        assert (folder / "x.db").is_file()

    @pytest.mark.parametrize(
        ("value", "fault"),
        [
            ("mysql://h/x", "does not start with"),
            ("postgresql+psycopg://h/x", "does not start with"),
            ("db.sqlite", "does not start with"),
            ("postgres://h", "no database"),
            ("postgres://h:0/x", "port"),
            ("sqlite://db.sqlite", "three slashes"),
            ("sqlite:////nowhere/at/all/x.db", "folder"),
            ("sqlite:////tmp", "names a folder"),
        ],
    )
    def test_refused(self, value: str, fault: str):
        assert fault in refusal("DATABASE_URL", value)


class TestRedisUrl:
    @pytest.mark.parametrize(
        "value",
        ["redis://h", "redis://h:6379/0", "rediss://:p%2F@h:6380", "unix:///run/redis.sock?db=1"],
    )
    def test_accepted_as_redis_reads_it(self, value: str):
        assert read_settings({"REDIS_URL": value}).redis_url == value
        Redis.from_url(value).close()

    @pytest.mark.parametrize(
        ("value", "fault"),
        [
            ("localhost:6379", "does not start with"),
            ("redis://", "no host"),
            ("redis://h:0", "port 0"),
            ("redis://h/abc", "not a number"),
            ("unix://", "no socket"),
        ],
    )
    def test_refused(self, value: str, fault: str):
        assert fault in refusal("REDIS_URL", value)


class TestNumbers:
    @pytest.mark.parametrize(
        ("name", "least", "most"),
        [
            ("PORT", 1, 65535),
            ("REFRESH_MIN_INTERVAL", 0, 31_536_000),
            ("FORCE_MIN_INTERVAL", 0, 31_536_000),
            ("CLONE_TIMEOUT", 1, 86_400),
            ("MEASURE_TIMEOUT", 1, 86_400),
            ("MEASURE_MEMORY_MB", 64, 1_048_576),
            ("MAX_REPO_MB", 1, 1_048_576),
            ("REFRESH_CONCURRENCY", 1, 256),
            ("FETCH_CONCURRENCY", 1, 256),
        ],
    )
    def test_bounds(self, name: str, least: int, most: int):
        for number in (least, most):
            assert getattr(read_settings({name: str(number)}), name.lower()) == number
        assert "too small" in refusal(name, str(least - 1))
        message = refusal(name, str(most + 1))
        assert "too large" in message
        assert f"from {least} to {most}" in message
        for value in ("1.5", "ten", "1_0", "0x10", "१", "+5", "9" * 5000, "1 0"):
            assert "not a whole number" in refusal(name, value)

    @pytest.mark.parametrize(("value", "hours"), [("0", 0), ("0.25", 0.25), ("8760", 8760)])
    def test_hours(self, value: str, hours: float):
        found = read_settings({"REFRESH_INTERVAL_HOURS": value}).refresh_interval_hours
        assert found == hours

    @pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e3", "daily", "24h", "8760.1"])
    def test_hours_refused(self, value: str):
        assert repr(value) in refusal("REFRESH_INTERVAL_HOURS", value)


class TestClocPath:
    def test_an_executable_is_made_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        program = tmp_path / "cloc"
        program.touch(0o755)
        monkeypatch.chdir(tmp_path)
        for value in (str(program), "./cloc", "cloc"):
            assert read_settings({"CLOC_PATH": value}).cloc_path == str(program)

    def test_refused(self, tmp_path: Path):
        plain = tmp_path / "plain"
        plain.touch(0o644)
        assert "not executable" in refusal("CLOC_PATH", str(plain))
        assert "not a file" in refusal("CLOC_PATH", str(tmp_path))
        assert "not a file" in refusal("CLOC_PATH", str(tmp_path / "none"))


class TestOrigins:
    def test_written_as_browsers_send_them(self):
        settings = read_settings(
            {"CORS_ORIGINS": "HTTPS://Example.com:443, http://a:80,http://a:81 ,http://a,,"}
        )
        assert settings.cors_origins == ("https://example.com", "http://a", "http://a:81")

    @pytest.mark.parametrize(
        "entry",
        [
            "*",
            "null",
            "example.com",
            "https://example.com/",
            "https://example.com/page",
            "https://*.example.com",
            r"https://.*\.example\.com",
            "https://exampl[e].com",
            "http://[::1]:3000",
            "https://user@example.com",
            "https://example.com?x",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:70000",
            "https://exämple.com",
            "file:///x",
            "https://-a.com",
            "https://",
        ],
    )
    def test_only_exact_ones(self, entry: str):
        assert "the entry" in refusal("CORS_ORIGINS", f"https://good.example,{entry}")

    def test_none_at_all(self):
        assert "no origin" in refusal("CORS_ORIGINS", ",")

    def test_the_library_takes_none_for_a_pattern(self):
        assert not any(map(probably_regex, read_settings({}).cors_origins))


class TestExcludedFolders:
    def test_sorted_and_once_each(self):
        settings = read_settings({"EXCLUDE_DIRS": " venv,a b,dist ,venv,,été"})
        assert settings.exclude_dirs == ("a b", "dist", "venv", "été")

    @pytest.mark.parametrize("name", ["a/b", "/", "..", ".", "*.egg-info", "a?", "[ab]", "a\\b"])
    def test_only_plain_names(self, name: str):
        assert "the entry" in refusal("EXCLUDE_DIRS", f"dist,{name}")

    @pytest.mark.parametrize("name", ["a\0b", "a\tb", "a\nb", "a\udcffb"])
    def test_only_printable_ones(self, name: str):
        assert "cannot be printed" in refusal("EXCLUDE_DIRS", name)


class TestPrivateRepositories:
    @pytest.mark.parametrize("value", ["show", "count", "hide", "HIDE"])
    def test_modes(self, value: str):
        settings = read_settings({"PRIVATE_REPOSITORIES": value})
        assert settings.private_repositories is PrivateMode(value.lower())

    def test_refused(self):
        assert refusal("PRIVATE_REPOSITORIES", "secret") == (
            "PRIVATE_REPOSITORIES ('secret') cannot be used: "
            "it is not one of the words known here; expected show, count or hide"
        )


@pytest.mark.parametrize(("value", "read"), [("true", True), ("False", False)])
def test_preloading_cloc_is_a_switch(value: str, read: bool):
    assert read_settings({"PRELOAD_CLOC": value}).preload_cloc is read
    assert refusal("PRELOAD_CLOC", "1") == (
        "PRELOAD_CLOC ('1') cannot be used: it is neither true nor false; expected true or false"
    )


def test_only_config_reads_the_environment():
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if not {"tests", "bench", "demo", ".venv"} & set(path.relative_to(ROOT).parts)
        and ("os.environ" in (source := path.read_text()) or "getenv" in source)
    ]
    assert readers == ["config/__init__.py"]


class TestAuthorEmails:
    def test_accepted(self):
        settings = read_settings({"AUTHOR_EMAILS": " Me@Example.com,*@acme.com, me@example.com,a*"})
        assert settings.author_emails == ("me@example.com", "*@acme.com", "a*")

    @pytest.mark.parametrize("value", ["me", "Me <me@example.com>", "me@a b", "a@b@c"])
    def test_refused(self, value: str):
        with pytest.raises(ConfigError, match=r"AUTHOR_EMAILS.*neither an address nor a pattern"):
            read_settings({"AUTHOR_EMAILS": value})
