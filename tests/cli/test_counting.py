"""One thing is one thing."""

from marketd.cli.counting import counted


def test_one_is_said_as_one() -> None:
    assert ["0 gaps", "1 gap", "1,000 gaps"] == [counted(count, "gap") for count in (0, 1, 1000)]
    assert "2 stretches" == counted(2, "stretch", "stretches")
