"""What a fleet of real processes is configured with can be read: only the slow suite starts one."""

from __future__ import annotations

from pathlib import Path

from otp_service import config as configuration
from tests.faults.installation import config_file
from tests.rolling.fleet import with_client


def test_the_configuration_of_a_fleet_loads_and_limits_nothing(tmp_path: Path) -> None:
    path = config_file(tmp_path, "redis://127.0.0.1:1/0", "http://127.0.0.1:1/")
    assert with_client(path)
    loaded = configuration.load(path, {})
    assert [client.name for client in loaded.clients] == ["shop"]
    assert not loaded.limits.prefix
    assert not loaded.limits.spray_brake
