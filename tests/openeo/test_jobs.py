from __future__ import annotations

import re

import pytest

from cloudmask.errors import OptionError
from cloudmask_openeo.jobs import job_options


def test_one_core_an_executor_as_spark_divides_the_memory_by_the_cores() -> None:
    options = job_options()
    assert options["executor-cores"] == options["task-cpus"] == 1
    assert options["python-memory"] == "3g"


def test_an_archive_is_unpacked_into_the_folder_that_the_udf_looks_in() -> None:
    options = job_options("https://example.org/deps.zip")
    assert options["udf-dependency-archives"] == ["https://example.org/deps.zip#cloudmask_deps"]


def test_without_an_archive_there_is_no_such_option() -> None:
    assert "udf-dependency-archives" not in job_options()


def test_other_options_are_passed_on() -> None:
    options = job_options(memory="4500m", max_executors=5, log_level="debug")
    assert options["python-memory"] == "4500m"
    assert options["max-executors"] == 5
    assert options["log-level"] == "debug"


@pytest.mark.parametrize("address", ["deps.zip", "/home/me/deps.zip", "https://a.b/x.zip#mine"])
def test_an_address_that_a_back_end_cannot_fetch_is_refused(address: str) -> None:
    with pytest.raises(OptionError, match=f"archive='{re.escape(address)}': give the address"):
        job_options(address)


@pytest.mark.parametrize("memory", ["3", "3 GB", "0g", "lots"])
def test_memory_that_spark_cannot_read_is_refused(memory: str) -> None:
    with pytest.raises(OptionError, match=f"memory='{memory}': write a number and m or g"):
        job_options(memory=memory)


def test_an_archive_is_not_fetched_by_plain_http() -> None:
    with pytest.raises(OptionError, match="give the address from which"):
        job_options("http://example.org/deps.zip")


def test_an_address_with_a_password_does_not_get_into_a_job() -> None:
    with pytest.raises(OptionError, match="has a user's name or password") as caught:
        job_options("https://me:hunter2@example.org/deps.zip")
    assert "hunter2" not in str(caught.value)
