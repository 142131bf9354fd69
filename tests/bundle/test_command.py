from __future__ import annotations

import json
import re
import sys
import warnings
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("rasterio")
pytest.importorskip("typer")
pytest.importorskip("rich")

from cloudmask.local.cli import main
from cloudmask_openeo import job_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloudmask_openeo.bundle import Target

    MakeNetwork = Callable[..., Path]
    Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `cloudmask bundle` as a user does: status, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        # The command says warnings in its own way, and does so to its end.
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        monkeypatch.setattr(sys, "argv", ["cloudmask", "bundle", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return int(left.value.code or 0), *capfd.readouterr()

    return run


def test_the_command_tells_what_it_made_and_how_to_use_it(
    command: Command, make_network: MakeNetwork, runtime_wheel: Path, here: Target, tmp_path: Path
) -> None:
    output, url = tmp_path / "deps.zip", "https://example.org/d.zip"
    status, out, err = command(
        "-o", output, "-m", make_network(tmp_path), "--wheel", runtime_wheel, "--url", url,
        "--python", here.python, "--platform", here.platform,
    )  # fmt: skip
    assert (status, err) == (0, "")
    text, options = out[: out.index("{")], json.loads(out[out.index("{") :])
    assert options == job_options(url)
    assert options["udf-dependency-archives"] == [f"{url}#cloudmask_deps"]
    size = output.stat().st_size / 1e6
    assert f"{output}: {size:.1f} MB, " in text
    assert re.search(r"model net: 0\.0 MB, LicenseRef-net, sha256 [0-9a-f]{64}", text)
    assert "gives the same mask: net" in text


def test_without_an_address_the_job_options_say_where_to_put_it(
    command: Command, make_network: MakeNetwork, toy_wheel: Path, tmp_path: Path
) -> None:
    status, out, _ = command(
        "-o", tmp_path / "a.zip", "-m", make_network(tmp_path), "--wheel", toy_wheel, "--no-check"
    )
    assert status == 0
    assert "once a.zip lies where the back-end can fetch it:" in out
    assert "https://example.org/put/it/here/a.zip#cloudmask_deps" in out
    assert "  not tried\n" in out


@pytest.mark.filterwarnings("default::cloudmask_openeo.bundle.BundleWarning")
def test_a_target_that_is_not_here_is_warned_about(
    command: Command, make_network: MakeNetwork, toy_wheel: Path, tmp_path: Path
) -> None:
    status, out, err = command(
        "-o", tmp_path / "a.zip", "-m", make_network(tmp_path), "--wheel", toy_wheel,
        "--python", "3.99",
    )  # fmt: skip
    assert status == 0
    assert "  not tried\n" in out
    assert err.startswith("cloudmask: warning: the archive is for Python 3.99 on manylinux")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-o", "deps.zip", "--url", "deps"], "give the address from which the back-end"),
        (["-o", "deps.tar"], r"must end in \.zip"),
        (["-o", "deps.zip", "-m", "none"], "unknown model 'none'"),
        (["-o", "deps.zip", "--python", "3.8"], "give a version such as"),
        (["-o", "deps.zip", "--wheel", "none-1-py3-none-any.whl"], "No such file"),
        (["-o", "nowhere/deps.zip"], "nowhere: there is no such folder, for deps.zip"),
    ],
)
def test_what_cannot_be_is_told_and_leaves_nothing(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = command(*arguments)
    assert status in (1, 2)
    assert out == ""
    assert re.match(f"cloudmask: .*{why}", err)
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
