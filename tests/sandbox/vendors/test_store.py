"""The JSON document on disk."""

import threading
from pathlib import Path

import pytest

from sandbox.vendors.store import Store, StoreError


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with Store(tmp_path / "deep" / "state.json").transaction() as document:
        document["a"] = {"b": [1, 2]}
    assert Store(tmp_path / "deep" / "state.json").read() == {"a": {"b": [1, 2]}}


def test_read_gives_a_copy(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.json")
    with store.transaction() as document:
        document["list"] = [1]
    store.read()["list"].append(2)
    assert store.read() == {"list": [1]}


def test_a_transaction_that_raises_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.json")
    with store.transaction() as document:
        document["n"] = {"v": 1}

    def fail() -> None:
        with store.transaction() as document:
            document["n"]["v"] = 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.read() == {"n": {"v": 1}}
    assert Store(tmp_path / "state.json").read() == {"n": {"v": 1}}


def test_a_transaction_inside_another_belongs_to_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.json")

    def nested() -> None:
        with store.transaction() as outer:
            outer["outer"] = 1
            with store.transaction() as inner:
                inner["inner"] = 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        nested()
    assert store.read() == {}


def test_no_change_is_lost_among_threads(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.json")

    def count() -> None:
        for _ in range(25):
            with store.transaction() as document:
                document["n"] = document.get("n", 0) + 1

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Store(tmp_path / "state.json").read() == {"n": 200}


def test_only_the_owner_may_read_the_file_and_no_other_file_is_left(tmp_path: Path) -> None:
    with Store(tmp_path / "state.json").transaction() as document:
        document["key"] = "secret"
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(StoreError, match=r"state\.json"):
        Store(tmp_path / "state.json")
