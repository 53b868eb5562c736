"""Backup and restore of a running node: whole, compared, never over anything, and marked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.story.town import PU, Town


@pytest.mark.timeout(300)
def test_hub_and_village_come_back_from_their_backups(tmp_path: Path) -> None:
    with Town(tmp_path) as town:
        town.start("broker")
        town.start("hub")
        town.join(PU)
        town.start(PU)
        town.accept(PU)
        town.wait("the case is at the hub", lambda: town.settled(PU))
        files = {name: tmp_path / f"{name}.backup" for name in ("hub", PU)}
        for name, target in files.items():
            made = town.run("backup", "--dir", tmp_path / name, "--to", target)
            assert made["bytes"] == target.stat().st_size
            assert target.stat().st_mode & 0o077 == 0
            assert (
                town.run("backup", "--dir", tmp_path / name, "--to", target, check=False)["error"]["code"]
                == "not_allowed"
            )
        before = {name: town.digests(name) for name in files}
        later = town.accept(PU)["case"]
        town.wait("the later case is at the hub", lambda: later in town.digests("hub"))
        for name in ("hub", PU):
            town.procs.pop(name).terminate()
        assert (
            town.run("restore", "--dir", town.hub_dir, "--from", files["hub"], check=False)["error"]["code"]
            == "directory_not_empty"
        )
        broken = tmp_path / "broken.backup"
        blob = bytearray(files["hub"].read_bytes())
        blob[len(blob) // 2] ^= 1
        broken.write_bytes(blob)
        answer = town.run("restore", "--dir", tmp_path / "none", "--from", broken, check=False)
        assert answer["error"]["code"] == "backup_damaged"
        assert not (tmp_path / "none").exists()
        town.hub_dir.rename(tmp_path / "lost")
        town.run("restore", "--dir", town.hub_dir, "--from", files["hub"])
        assert town.digests("hub") == before["hub"]
        town.start("hub")
        town.start(PU)
        town.wait("the village offers again what the restored hub had lost", lambda: later in town.digests("hub"))
        assert town.run("reconcile", "--dir", town.hub_dir)["equal"] is True
        restored = tmp_path / "restored"
        town.run("restore", "--dir", restored, "--from", files[PU])
        assert town.digests("restored") == before[PU]
