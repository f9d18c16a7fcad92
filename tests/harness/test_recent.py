"""Keeping the last few things: by number or by weight, the least recently used leave."""

from __future__ import annotations

from medrobust.recent import Recent


def kept(recent: Recent[str], *keys: str) -> list[str]:
    """Which of the keys need not be made again; looking does not make them."""

    class MadeError(Exception):
        pass

    def make() -> str:
        raise MadeError

    found = []
    for key in keys:
        try:
            recent.get(key, make)
        except MadeError:
            continue
        found.append(key)
    return found


def test_the_least_recently_used_leaves() -> None:
    recent: Recent[str] = Recent(2)
    for key in ("a", "b", "a", "c"):
        recent.get(key, lambda key=key: key)
    assert kept(recent, "a", "b", "c") == ["a", "c"]


def test_a_value_is_made_once() -> None:
    recent: Recent[object] = Recent(2)
    assert recent.get("a", object) is recent.get("a", object)


def test_weights_bound_what_is_kept() -> None:
    recent: Recent[str] = Recent(10, len)
    for key in ("aaaa", "bbbb", "ccc"):
        recent.get(key, lambda key=key: key)
    assert kept(recent, "aaaa", "bbbb", "ccc") == ["bbbb", "ccc"]


def test_a_value_heavier_than_the_limit_is_kept_alone() -> None:
    recent: Recent[str] = Recent(3, len)
    for key in ("aa", "bbbbbb"):
        recent.get(key, lambda key=key: key)
    assert kept(recent, "aa", "bbbbbb") == ["bbbbbb"]
    recent.get("cc", lambda: "cc")
    assert kept(recent, "bbbbbb", "cc") == ["cc"]
