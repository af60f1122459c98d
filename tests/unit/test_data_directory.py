"""The directory of `tasks-server dev`, made by whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from tasks_server.embedded.data_directory import DataDirectory

AT_ONCE = 8


def test_all_who_make_it_at_once_have_it(tmp_path: Path):
    for number in range(40):
        ready = Barrier(AT_ONCE)

        def make(_: int, path: Path = tmp_path / str(number), ready: Barrier = ready) -> str:
            ready.wait()
            return DataDirectory(path).secret_key

        with ThreadPoolExecutor(AT_ONCE) as makers:
            assert len(set(makers.map(make, range(AT_ONCE)))) == 1
