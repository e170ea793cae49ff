"""Workspaces are removed at every end of a block, and swept when their process died."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from errors import MeasureError
from measure import sweep
from measure.workspace import MARKER, PREFIX, SIGNATURE, temporary_workspace

ROOT = Path(__file__).parents[2]


def left_in(folder: Path) -> list[Path]:
    return list(folder.glob(f"{PREFIX}*"))


def deep_tree(folder: Path, depth: int) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_the_folder_is_gone_afterwards(tmp_path: Path):
    with temporary_workspace(tmp_path) as folder:
        (folder / "a" / "b").mkdir(parents=True)
        assert left_in(tmp_path) == [folder]

    assert left_in(tmp_path) == []


def test_the_folder_is_gone_after_a_failure(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), temporary_workspace(tmp_path):
        raise ZeroDivisionError

    assert left_in(tmp_path) == []


def test_a_tree_of_4000_folders_is_removed(tmp_path: Path):
    with temporary_workspace(tmp_path) as folder:
        deep_tree(folder, 4000)

    assert left_in(tmp_path) == []


def test_a_parent_that_is_not_there_is_said_in_words(tmp_path: Path):
    with (
        pytest.raises(MeasureError, match="no folder for temporary files"),
        temporary_workspace(tmp_path / "nowhere"),
    ):
        pass


def test_a_sweep_leaves_what_is_in_use(tmp_path: Path):
    with temporary_workspace(tmp_path) as folder:
        assert sweep(tmp_path) == 0
        assert folder.exists()


def test_a_sweep_removes_what_a_killed_process_left(tmp_path: Path):
    script = (
        "import pathlib, time; from measure.workspace import temporary_workspace\n"
        "with temporary_workspace(pathlib.Path('.')) as folder:\n"
        "    (folder / 'x').touch(); print(flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout
    owner.stdout.readline()
    assert sweep(tmp_path) == 0
    owner.kill()
    owner.communicate()

    assert sweep(tmp_path) == 1
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("content", [None, b"", b"somebody else's", SIGNATURE + b"more"])
def test_a_sweep_leaves_what_it_cannot_prove_to_be_its_own(content, tmp_path: Path):
    checkout = tmp_path / f"{PREFIX}backend"
    (checkout / "lock").mkdir(parents=True)
    if content is not None:
        (checkout / MARKER).write_bytes(content)
    os.utime(checkout, (1, 1))

    assert sweep(tmp_path) == 0
    assert (checkout / "lock").exists()


def test_a_sweep_is_not_kept_waiting_by_a_pipe(tmp_path: Path):
    folder = tmp_path / f"{PREFIX}pipe"
    folder.mkdir()
    os.mkfifo(folder / MARKER)

    assert sweep(tmp_path) == 0
    assert folder.exists()


def test_a_removal_that_broke_off_is_ended_by_the_next_sweep(tmp_path: Path, monkeypatch):
    with monkeypatch.context() as broken, temporary_workspace(tmp_path) as folder:
        (folder / "repository").mkdir()
        broken.setattr("measure.workspace.remove", lambda *_: False)

    assert left_in(tmp_path) == [folder]
    assert sweep(tmp_path) == 1
    assert left_in(tmp_path) == []


def test_a_sweep_touches_nothing_else(tmp_path: Path):
    (tmp_path / "other").mkdir()
    (tmp_path / f"{PREFIX}file").touch()
    target = tmp_path / "target"
    target.mkdir()
    (target / MARKER).write_bytes(SIGNATURE)
    (tmp_path / f"{PREFIX}link").symlink_to(target)
    trap = tmp_path / f"{PREFIX}trap"
    trap.mkdir()
    (trap / MARKER).symlink_to(target / "made")

    assert sweep(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 5
    assert not (target / "made").exists()
