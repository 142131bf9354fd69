from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

typer = pytest.importorskip("typer")
pytest.importorskip("jinja2")

from typer.testing import CliRunner  # noqa: E402

from cloudmask.errors import OptionError  # noqa: E402
from cloudmask.local.report import command  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path


def run(*words: object) -> Any:
    app = typer.Typer()
    app.command(epilog=command.EXAMPLES)(command.report)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_page_is_put_into_the_folder_and_named(tmp_path: Path, sample: Any) -> None:
    sample().write(tmp_path)
    done = run(tmp_path)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'report.html'}: 1 scene\n")
    assert (tmp_path / "report.html").is_file()


def test_the_page_goes_where_it_is_wanted_with_the_title_wanted(
    tmp_path: Path, sample: Any
) -> None:
    sample().write(tmp_path / "out")
    done = run(tmp_path / "out", "-o", tmp_path / "june.html", "--title", "June & July")
    assert done.exit_code == 0
    assert "<title>June &amp; July</title>" in (tmp_path / "june.html").read_text("utf-8")


def test_what_is_left_out_is_said_on_standard_error(tmp_path: Path, sample: Any) -> None:
    sample().write(tmp_path)
    (tmp_path / "odd.json").write_text("{}")
    done = run(tmp_path)
    assert done.exit_code == 0
    assert done.stderr.startswith("cloudmask: odd.json: is no Item of a mask")


def test_pictures_beside_the_page_are_named(tmp_path: Path, sample: Any) -> None:
    sample().write(tmp_path)
    assert f"{tmp_path / 'report_files'}: " in run(tmp_path, "--embed-limit", 0).stdout


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert isinstance(done.exception, OptionError)
    assert "holds no masks" in str(done.exception)
