"""Keeping the last few things: by number or by weight, the least recently used leave."""

from __future__ import annotations

from medrobust.lru import Kept


def kept(cache: Kept[str], *keys: str) -> list[str]:
    """Which of the keys need not be made again; looking does not make them."""

    class MadeError(Exception):
        pass

    def make() -> str:
        raise MadeError

    found = []
    for key in keys:
        try:
            cache.get(key, make)
        except MadeError:
            continue
        found.append(key)
    return found


def test_the_least_recently_used_leaves() -> None:
    cache: Kept[str] = Kept(2)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda key=key: key)
    assert kept(cache, "a", "b", "c") == ["a", "c"]


def test_a_value_is_made_once() -> None:
    cache: Kept[object] = Kept(2)
    assert cache.get("a", object) is cache.get("a", object)


def test_weights_bound_what_is_kept() -> None:
    cache: Kept[str] = Kept(10, len)
    for key in ("aaaa", "bbbb", "ccc"):
        cache.get(key, lambda key=key: key)
    assert kept(cache, "aaaa", "bbbb", "ccc") == ["bbbb", "ccc"]


def test_a_value_heavier_than_the_limit_is_kept_alone() -> None:
    cache: Kept[str] = Kept(3, len)
    for key in ("aa", "bbbbbb"):
        cache.get(key, lambda key=key: key)
    assert kept(cache, "aa", "bbbbbb") == ["bbbbbb"]
    cache.get("cc", lambda: "cc")
    assert kept(cache, "bbbbbb", "cc") == ["cc"]
