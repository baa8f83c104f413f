"""What `deploy/` holds stays true: the settings, commands and files that it names, and more."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bot import settings
from bot.cli import app
from bot.serving import DRAIN_SECONDS
from bot.settings import Settings
from bot.web.security import MAX_UPLOAD

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text("utf-8")
UNIT = (DEPLOY / "phen.service").read_text("utf-8")
TOML = (DEPLOY / "phen.toml").read_text("utf-8")
IMAGE = (DEPLOY / "Dockerfile").read_text("utf-8")
PAGE = (ROOT / "docs/running.md").read_text("utf-8")
ALL = {"compose.yaml": COMPOSE, "phen.service": UNIT, "phen.toml": TOML, "Dockerfile": IMAGE}
CLEAN_STOP = 10
"""Seconds after SIGTERM within which the program promises to have ended."""


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE)["services"])


def serving() -> dict[str, Any]:
    """The services that run the line itself."""
    return {name: one for name, one in services().items() if "ports" in one}


def of_phen() -> dict[str, Any]:
    return {name: one for name, one in services().items() if one["image"] == "phen"}


def unit() -> dict[str, list[str]]:
    """Each line of the unit that counts; some stand there several times."""
    told: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT, re.M):
        told.setdefault(name, []).append(value)
    return told


def known() -> set[str]:
    files = {f"{settings.PREFIX}{name.upper()}_FILE" for name in settings._SECRETS}
    return files | {f"{settings.PREFIX}{name.upper()}" for name in Settings.model_fields}


def commands() -> set[str]:
    return set(getattr(typer.main.get_command(app), "commands", {}))


@pytest.mark.parametrize("name", ALL)
def test_every_setting_that_is_named_exists(name: str) -> None:
    assert set(re.findall(r"PHEN_\w+", ALL[name])) <= known()


@pytest.mark.parametrize("remarks", [False, True], ids=["as it is", "with what it offers"])
def test_the_settings_file_is_taken(remarks: bool, tmp_path: Path) -> None:
    file = tmp_path / "phen.toml"
    file.write_text(re.sub(r"^# (?=\w+ = )", "", TOML, flags=re.M) if remarks else TOML, "utf-8")
    told = settings.read({}, file)  # as a command that is not given a token
    assert told.data_dir == Path("/var/lib/phen")
    assert told.database.startswith("postgresql" if remarks else "sqlite")


def test_the_settings_of_compose_are_taken(tmp_path: Path) -> None:
    for name, one in of_phen().items():
        given = dict(one["environment"])
        for setting in [each for each in given if each.endswith("_FILE")]:
            secret = tmp_path / Path(given[setting]).name
            secret.write_text(f"4839201:{setting}", "utf-8")
            given[setting] = str(secret)
        given["PHEN_PUBLIC_URL"] = "https://help.example.org"
        assert settings.read(given, tmp_path / "none").database.startswith("postgresql"), name


def test_every_command_that_is_started_exists() -> None:
    (started,) = unit()["ExecStart"]
    program, command = started.split()
    assert program.endswith("/bin/phen")
    assert 'ENTRYPOINT ["phen"]' in IMAGE
    (default,) = re.findall(r'^CMD \["(\w+)"\]$', IMAGE, re.M)
    given = {one["command"][0] for one in of_phen().values() if "command" in one}
    assert {command, default, *given} <= commands()
    assert command == default == "run"
    assert all("command" not in one for one in serving().values())


def test_whoever_stops_it_waits_longer_than_it_takes() -> None:
    (seconds,) = unit()["TimeoutStopSec"]
    assert int(seconds) > CLEAN_STOP > DRAIN_SECONDS
    for name, one in serving().items():
        assert int(one["stop_grace_period"].removesuffix("s")) > CLEAN_STOP, name
    assert unit().get("KillSignal", ["SIGTERM"]) == ["SIGTERM"]
    assert "STOPSIGNAL" not in IMAGE


def test_a_crash_or_a_full_memory_writes_nothing_of_hers_to_the_disk() -> None:
    assert (unit()["LimitCORE"], unit()["MemorySwapMax"]) == (["0"], ["0"])
    for name, one in services().items():
        assert one["ulimits"] == {"core": 0}, name
        assert one["mem_limit"] == one["memswap_limit"], name


def test_no_token_and_no_password_stands_in_a_file() -> None:
    for name, text in ALL.items():
        values = re.findall(r"(?:TOKEN|SECRET|PASSWORD)\w*\s*[:=]\s*(\S+)", text)
        in_clear = [each for each in values if not each.startswith(("/run/secrets/", "%d/"))]
        assert in_clear == [], name
        assert not re.search(r"\d{5,}:[\w-]{10,}|://[^/\s@]*:[^/\s@]*@", text), name


def test_every_secret_comes_from_one_place_and_is_used() -> None:
    top = yaml.safe_load(COMPOSE)["secrets"]
    used = {each for one in services().values() for each in one.get("secrets", ())}
    assert used == set(top)
    for name, one in services().items():
        named = set(re.findall(r"/run/secrets/([\w.]+)", str(one["environment"])))
        assert named == set(one["secrets"]), name
    files = {Path(each["file"]) for each in top.values()}
    files |= {Path(each.partition(":")[2]) for each in unit()["LoadCredential"]}
    assert [str(file) for file in files if str(file) not in PAGE] == []
    credentials = {each.partition(":")[0] for each in unit()["LoadCredential"]}
    assert {each.partition("%d/")[2] for each in unit()["Environment"]} - {""} == credentials


def test_every_file_that_is_named_is_in_the_repository() -> None:
    (build,) = [one["build"] for one in services().values() if "build" in one]
    context = (DEPLOY / build["context"]).resolve()
    assert (context, context / build["dockerfile"]) == (ROOT, DEPLOY / "Dockerfile")
    copied = " ".join(re.findall(r"^COPY (.+) \S+$", IMAGE, re.M)).split()
    assert [name for name in copied if not (ROOT / name).exists()] == []
    taken = re.findall(r"^!(.+)$", (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8"), re.M)
    assert sorted(taken) == sorted(copied)
    mounted = [each.partition(":")[0] for one in services().values() for each in one["volumes"]]
    beside = [DEPLOY / each for each in mounted if each.startswith(".")]
    assert beside
    assert all(file.is_file() for file in beside)
    assert set(mounted) - {each for each in mounted if each.startswith(".")} == {"keys", "data"}
    for name in re.findall(r"\bdeploy/([\w.-]+\.\w+)", PAGE):
        assert (DEPLOY / name).is_file(), name


def test_all_processes_have_one_folder_of_keys_and_one_database() -> None:
    first, *others = of_phen().values()
    for one in others:
        assert one["volumes"] == first["volumes"] == ["keys:/var/lib/phen"]
        assert one["environment"] == first["environment"]


def test_nothing_is_served_before_the_database_was_brought_up_to_date() -> None:
    for name, one in serving().items():
        assert one["depends_on"]["migrate"]["condition"] == "service_completed_successfully", name


def test_nobody_outside_reaches_postgresql_nor_a_process_but_by_loopback() -> None:
    networks = yaml.safe_load(COMPOSE)["networks"]
    postgres = services()["postgres"]
    assert "ports" not in postgres
    assert [networks[each] for each in postgres["networks"]] == [{"internal": True}]
    ports = [port for one in serving().values() for port in one["ports"]]
    assert len(set(ports)) == len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)
    for port in ports:
        assert f"server {port.rpartition(':')[0]};" in PAGE


def test_every_line_is_explained() -> None:
    rows = " ".join(re.findall(r"^\| (.+?) \|", PAGE, re.M))
    families = ("Protect", "Description", "Documentation")  # told as one, or of themselves
    missing = [name for name in unit() if name not in rows and not name.startswith(families)]
    assert missing == []
    for name, one in services().items():
        told = (*one, *(each for each in one["environment"] if not each.endswith("_FILE")))
        assert [key for key in told if key not in rows and key != "environment"] == [], name


def test_the_web_server_in_front_takes_what_phen_takes_and_writes_nothing_down() -> None:
    for page in (PAGE, (ROOT / "README.md").read_text("utf-8")):
        (block,) = re.findall(r"^```nginx\n(.*?)^```$", page, re.M | re.S)
        (size,) = re.findall(r"client_max_body_size (\d+)m;", block)
        assert int(size) * 1024 * 1024 >= MAX_UPLOAD
        for line in ("access_log off;", "proxy_buffering off;", "proxy_request_buffering off;",
                     "proxy_set_header Host $host;"):  # fmt: skip
            assert line in block
