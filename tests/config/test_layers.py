"""A later layer goes over an earlier one, key by key."""

from marketd.config.layers import Layers


def test_keys_are_merged_and_lists_replaced() -> None:
    layers = Layers()
    layers.add({"a": {"x": 1, "list": [1, 2]}, "b": 1}, "low")
    layers.add({"a": {"y": 2, "list": [3]}}, "high")

    assert layers.found == {"a": {"x": 1, "y": 2, "list": [3]}, "b": 1}
    assert layers.origins[("a", "list")] == "high"
    assert layers.origins[("a", "x")] == "low"


def test_an_empty_section_changes_nothing() -> None:
    layers = Layers()
    layers.add({"a": {"x": 1}}, "low")
    layers.add({"a": None}, "high")
    layers.add({"a": {}}, "high")

    assert layers.found == {"a": {"x": 1}}


def test_what_is_set_by_hand_is_no_longer_from_the_file() -> None:
    layers = Layers()
    layers.add({"a": {"x": 1}}, "file")
    layers.set(("a", "x"), 2, "A_X")

    assert layers.in_file == set()


def test_dropping_forgets_all_below() -> None:
    layers = Layers()
    layers.add({"a": {"x": {"y": 1}, "z": 1}}, "file")
    layers.drop(("a", "x"))

    assert layers.found == {"a": {"z": 1}}
    assert layers.origins == {("a",): "file", ("a", "z"): "file"}
