"""Configuration of `openeo_driver`; read from the path in OPENEO_BACKEND_CONFIG."""

from __future__ import annotations

from openeo_driver.config import OpenEoBackendConfig


def _valid(username: str, password: str) -> bool:
    return (username, password) == ("tester", "tester123")


config = OpenEoBackendConfig(
    id="cloudmask-tests",
    capabilities_title="Stand-in for tests",
    enable_basic_auth=True,
    enable_oidc_auth=False,
    valid_basic_auth=_valid,
)
