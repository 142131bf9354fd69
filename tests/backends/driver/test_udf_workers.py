from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from driver_client import messages, neighborhood
from openeo.rest import OpenEoApiError
from standin.protocol import HIDEABLE, WorkerSettings, worker_settings

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from driver_client import Driver, Site
    from openeo.rest.datacube import DataCube

HEAD = """
import os, sys
import xarray as xr
from openeo.udf import inspect
def apply_datacube(cube: xr.DataArray, context: dict) -> xr.DataArray:
"""


def telling(expression: str, *before: str) -> str:
    """Write a UDF that tells the value of an expression."""
    lines = [*before, f"inspect(data={expression}, message='told')", "return cube"]
    return HEAD + "".join(f"    {line}\n" for line in lines)


def archive(path: Path, modules: dict[str, str]) -> Path:
    """Write a ZIP of modules."""
    with zipfile.ZipFile(path, "w") as file:
        for name, text in modules.items():
            file.writestr(f"{name}.py", text)
    return path


def told(driver: Driver, cube: DataCube, folder: Path, code: str, **options: Any) -> list[Any]:
    """Run a UDF on two chunks and return what it told."""
    named = {key.replace("_", "-"): value for key, value in options.items()}
    return driver.inspected(neighborhood(cube, code, 20), folder, named)


@pytest.fixture
def cube(driver: Driver, pixels: xr.DataArray) -> DataCube:
    return driver.load(pixels)


def test_module_of_the_udf_lives_on_between_chunks_and_jobs(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    code = "calls = []\n" + telling("len(calls)", "calls.append(1)")
    first, second = (told(driver, cube, tmp_path, code) for _ in range(2))
    assert (first, second) == ([1, 2], [3, 4])


def test_context_reaches_the_udf(driver: Driver, cube: DataCube, tmp_path: Path) -> None:
    out = neighborhood(cube, telling("context"), 32, context={"model": "a", "n": [1, 2]})
    assert driver.inspected(out, tmp_path) == [{"model": "a", "n": [1, 2]}]


@pytest.mark.parametrize("t", [None, "P1D"])
def test_context_that_a_udf_changes_is_changed_for_all_chunks(
    driver: Driver, cube: DataCube, tmp_path: Path, t: str | None
) -> None:
    code = telling("sorted(context)", "context.pop('a', None)", "context['b'] = 1")
    job = driver.run(neighborhood(cube, code, 20, t=t, context={"a": 1, "c": 2}), tmp_path)
    assert messages(job, "error") == ["the UDF changed its context, which all chunks share"]


def test_context_of_the_parent_comes_only_by_parameter(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    node = neighborhood(cube, telling("context"), 32, context={"from_parameter": "context"})
    node.result_node().arguments["context"] = {"model": "b"}
    assert driver.inspected(node, tmp_path) == [{"model": "b"}]


def test_error_of_a_udf_is_one_line_in_the_log_of_the_job(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    code = telling("1", "raise ValueError('band B10 is missing')")
    message = driver.failure(neighborhood(cube, code, 16), tmp_path)
    assert message == "UDF exception: ValueError: band B10 is missing"


def test_error_of_a_udf_reaches_a_synchronous_user(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    code = telling("1", "raise ValueError('band B10 is missing')")
    with pytest.raises(OpenEoApiError, match="UDF exception: ValueError: band B10 is missing"):
        driver.sync(neighborhood(cube, code, 16), tmp_path)


def test_deferred_annotations_hide_the_udf(driver: Driver, cube: DataCube, tmp_path: Path) -> None:
    code = "from __future__ import annotations\n" + telling("1")
    assert "No UDF found" in driver.failure(neighborhood(cube, code, 16), tmp_path)


def test_syntax_error_fails_the_job(driver: Driver, cube: DataCube, tmp_path: Path) -> None:
    message = driver.failure(neighborhood(cube, "def apply_datacube(", 16), tmp_path)
    assert "UDF.py, line 1" in message


def test_inspect_is_kept_and_print_is_lost(driver: Driver, cube: DataCube, tmp_path: Path) -> None:
    code = telling("1", "print('printed')", "inspect(message='said', level='debug')")
    job = driver.run(neighborhood(cube, code, 32), tmp_path)
    assert messages(job) == ["said", "told"]


def test_worker_that_dies_takes_only_its_job(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    dying = neighborhood(cube, telling("1", "os._exit(7)"), 16)
    assert "ended (exit code 7)" in driver.failure(dying, tmp_path)
    assert told(driver, cube, tmp_path, telling("2")) == [2, 2]


def test_python_memory_limits_the_address_space(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    code = telling("len(bytearray(2**31))")
    options = {"python-memory": "1500m"}
    assert "MemoryError" in driver.failure(neighborhood(cube, code, 32), tmp_path, options)


def test_python_memory_is_shared_among_the_cores_of_an_executor() -> None:
    settings = worker_settings({"python-memory": "3g", "executor-cores": 2}, batch=True)
    assert settings.memory == 3 * 2**30 // 2


@pytest.mark.parametrize("amount", [None, "disable"])
def test_python_memory_may_be_without_limit(amount: str | None) -> None:
    assert worker_settings({"python-memory": amount}, batch=True) == WorkerSettings()


def test_python_memory_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="'much' is not an amount of memory"):
        worker_settings({"python-memory": "much"}, batch=True)


def test_task_cpus_become_omp_num_threads(driver: Driver, cube: DataCube, tmp_path: Path) -> None:
    code = telling("os.environ['OMP_NUM_THREADS']")
    assert told(driver, cube, tmp_path, code, task_cpus=2) == ["2", "2"]


def test_archive_is_a_folder_where_the_worker_runs(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    path = archive(tmp_path / "deps.zip", {"answers": "VALUE = 42\n"})
    code = telling("VALUE", "sys.path.append('extra')", "from answers import VALUE")
    archives = [f"{path}#extra"]
    assert told(driver, cube, tmp_path, code, udf_dependency_archives=archives) == [42, 42]


def test_archive_may_come_over_http(
    driver: Driver, cube: DataCube, tmp_path: Path, site: Site
) -> None:
    archive(site.folder / "deps.zip", {"over": "VALUE = 43\n"})
    archives = [f"{site.url}/deps.zip#extra"]
    code = telling("os.listdir('extra')")
    assert told(driver, cube, tmp_path, code, udf_dependency_archives=archives)[0] == ["over.py"]


def test_wheel_stays_a_file(driver: Driver, cube: DataCube, tmp_path: Path) -> None:
    path = archive(tmp_path / "thing.whl", {"thing": "VALUE = 44\n"})
    code = telling("[os.path.isfile('lib'), VALUE]", "sys.path.insert(0, 'lib')",
                   "from thing import VALUE")  # fmt: skip
    archives = [f"{path}#lib"]
    assert told(driver, cube, tmp_path, code, udf_dependency_archives=archives)[0] == [True, 44]


def test_archives_need_folders_of_their_own(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    path = archive(tmp_path / "deps.zip", {"answers": "VALUE = 42\n"})
    options = {"udf-dependency-archives": [f"{path}#extra", f"{path}#extra"]}
    message = driver.failure(neighborhood(cube, telling("1"), 32), tmp_path, options)
    assert "needs a folder name of its own" in message


def test_archives_do_not_reach_synchronous_requests() -> None:
    options = {"udf-dependency-archives": ["deps.zip#extra"]}
    assert worker_settings(options, batch=False).archives == ()


def test_zip_mode_deletes_the_dependencies_after_every_call(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    path = archive(tmp_path / "deps.zip", {"kept": "VALUE = 42\n"})
    code = "folders = []\n" + telling(
        "[VALUE, len(folders), [os.path.exists(f) for f in folders]]",
        "from kept import VALUE",
        "folders.append(sys.path[-1])",
    )
    result = told(driver, cube, tmp_path, code, x_udf_dependencies_zip=str(path))
    assert result == [[42, 1, [True]], [42, 2, [False, True]]]


def test_zip_mode_fails_a_module_that_is_imported_late(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    path = archive(tmp_path / "deps.zip", {"pack/__init__": "", "pack/late": "VALUE = 1\n"})
    code = "calls = []\n" + telling(
        "1", "import pack", "calls.append(1)", "if len(calls) == 2: import pack.late"
    )
    options = {"x-udf-dependencies-zip": str(path)}
    message = driver.failure(neighborhood(cube, code, 20), tmp_path, options)
    assert "No module named 'pack.late'" in message


def test_zip_mode_hides_dependencies_from_apply_metadata(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    path = archive(tmp_path / "deps.zip", {"managed": ""})
    # A module that is loaded already would be found again.
    head = "import managed\nimport sys\ndel sys.modules['managed']\n"
    code = head + telling("1") + "def apply_metadata(metadata, context):\n    return metadata\n"
    options = {"x-udf-dependencies-zip": str(path)}
    message = driver.failure(neighborhood(cube, code, 32), tmp_path, options)
    assert "No module named 'managed'" in message


@pytest.mark.parametrize("name", HIDEABLE)
def test_installed_package_can_be_hidden(
    driver: Driver, cube: DataCube, tmp_path: Path, name: str
) -> None:
    code = telling(f"importlib.util.find_spec({name!r}) is None", "import importlib.util")
    assert told(driver, cube, tmp_path, code, x_hide_packages=True) == [True, True]
    assert told(driver, cube, tmp_path, code) == [False, False]


def test_hidden_package_is_found_in_an_archive(
    driver: Driver, cube: DataCube, tmp_path: Path
) -> None:
    path = archive(tmp_path / "deps.zip", {"onnxruntime": "VALUE = 45\n"})
    code = telling("VALUE", "sys.path.append('extra')", "from onnxruntime import VALUE")
    archives = [f"{path}#extra"]
    result = told(
        driver, cube, tmp_path, code, udf_dependency_archives=archives, x_hide_packages=True
    )
    assert result == [45, 45]
