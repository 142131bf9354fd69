from __future__ import annotations

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")

from cloudmask.local.console import clean, complain, say
from cloudmask.local.progress import pixel_bar


@pytest.mark.parametrize(
    "letter", ["\x1b", "\x9b", "\x07", "\x08", "\r", "\u202e", "\u2066", "\x00"]
)
def test_nothing_that_steers_a_terminal_is_printed(
    letter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(f"a{letter}b")
    complain(f"a{letter}b")
    out, err = capsys.readouterr()
    assert letter not in out + err
    assert out == f"a{ascii(letter)[1:-1]}b\n"


def test_plain_text_of_any_language_is_printed_as_it_is() -> None:
    text = "Zürich 東京; 12.5\u00a0%\n\tdone"
    assert clean(text) == text


def test_secrets_in_addresses_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    complain("https://me:hunter2@h/a.tif?token=hunter3: 404")
    assert capsys.readouterr().err == "cloudmask: https://h/a.tif?token=... 404\n"


@pytest.mark.parametrize("title", ["a[/b].tif", "[red]a.tif", "a\x1b]0;b\x07.tif"])
def test_a_bar_shows_the_name_of_any_file(
    title: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    with pixel_bar(title, 10) as tell:
        tell(10)
    assert clean(title) in capsys.readouterr().err
