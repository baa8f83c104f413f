"""The settings: every mistake at once, by name, with the nearest right one, and no value."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import Settings, SettingsWrong, read

TOKEN = "4839201:AAE-never-printed"


def mistakes(environment: dict[str, str], file: Path = Path("none.toml")) -> list[str]:
    with pytest.raises(SettingsWrong) as caught:
        read(environment, file)
    return str(caught.value).splitlines()


def test_without_any_setting_it_serves_on_loopback() -> None:
    settings = read({}, Path("none.toml"))
    assert settings.on_loopback
    assert settings.address == "http://127.0.0.1:8000"
    assert settings.database == "sqlite+aiosqlite:///data/phen.db"
    assert settings.key_file == Path("data/keys/master.key")
    assert settings.telegram_token is None


def test_all_mistakes_come_at_once_by_name_and_without_values() -> None:
    told = mistakes(
        {
            "PHEN_PORT": "eighty-thousand",
            "PHEN_PUBLIC_URL": "ftp://secret.example",
            "PHEN_LOG_LEVEL": "chatty",
            "PHEN_DATABASE_URL": "mysql://root:hunter2@db",
            "PHEN_TELEGRAM_TOKN": TOKEN,
        }
    )
    assert [line.partition(":")[0] for line in told] == [
        "PHEN_DATABASE_URL", "PHEN_LOG_LEVEL", "PHEN_PORT", "PHEN_PUBLIC_URL", "PHEN_TELEGRAM_TOKN",
    ]  # fmt: skip
    for value in ("eighty-thousand", "secret.example", "chatty", "hunter2", TOKEN):
        assert value not in "\n".join(told)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("PHEN_TELEGRAM_TOKN", "PHEN_TELEGRAM_TOKEN"),
        ("PHEN_PROT", "PHEN_PORT"),
        ("PHEN_DATADIR", "PHEN_DATA_DIR"),
        ("PHEN_LOGLEVEL", "PHEN_LOG_LEVEL"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_nearest_right_one(wrong: str, right: str) -> None:
    assert mistakes({wrong: "x"}) == [f"{wrong}: no such setting; did you mean {right}?"]


def test_what_is_not_ours_is_left_alone() -> None:
    assert read({"PATH": "/bin", "PHENOMENON": "1"}, Path("none.toml")) == Settings()


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    settings = read({"PHEN_TELEGRAM_TOKEN_FILE": str(tmp_path / "token")}, Path("none.toml"))
    assert settings.telegram_token is not None
    assert settings.telegram_token.get_secret_value() == TOKEN
    assert TOKEN not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_an_empty_secrets_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    told = mistakes({"PHEN_TELEGRAM_TOKEN_FILE": str(tmp_path / "token")})
    assert told == ["PHEN_TELEGRAM_TOKEN_FILE: the file is empty; put the secret into it"]


def test_a_secrets_file_that_is_not_there_is_named_by_its_setting(tmp_path: Path) -> None:
    told = mistakes({"PHEN_TELEGRAM_TOKEN_FILE": str(tmp_path / "gone")})
    assert told == ["PHEN_TELEGRAM_TOKEN_FILE: the file cannot be read; check its rights"]


def test_a_setting_set_to_nothing_is_not_set() -> None:
    empty = {"PHEN_TELEGRAM_TOKEN": "", "PHEN_PORT": "", "PHEN_TELEGRAM_TOKEN_FILE": ""}
    assert read(empty, Path("none.toml")) == Settings()


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "phen.toml"
    file.write_text('port = 9001\nPHEN_HOST = "::1"\ndata_dir = "elsewhere"\n')
    settings = read({"PHEN_PORT": "9002"}, file)
    assert (settings.port, settings.host, settings.data_dir) == (9002, "::1", Path("elsewhere"))


def test_mistakes_of_the_file_and_of_the_environment_come_together(tmp_path: Path) -> None:
    file = tmp_path / "phen.toml"
    file.write_text('prot = 1\ntelegram_token = 7\n[more]\nx = "y"\n')
    told = mistakes({"PHEN_PORT": "-1"}, file)
    assert [line.partition(":")[0] for line in told] == [
        "PHEN_MORE", "PHEN_PORT", "PHEN_PROT", "PHEN_TELEGRAM_TOKEN",
    ]  # fmt: skip


@pytest.mark.parametrize("content", [b"port = ", b"\xff\xfe", b"port = 1\nport = 2"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "phen.toml"
    file.write_bytes(content)
    assert mistakes({}, file) == [
        "phen.toml: cannot be read as TOML; look at its quotes and rights"
    ]


def test_a_trailing_slash_of_an_address_is_dropped() -> None:
    given = {"PHEN_PUBLIC_URL": "https://line.example/", "PHEN_TELEGRAM_API": "http://x:1/"}
    settings = read(given, Path("none.toml"))
    assert settings.address == "https://line.example"
    assert settings.telegram_api == "http://x:1"


# --- Viber -----------------------------------------------------------------------------------

VIBER = "4f1d0a2b3c4d5e6f-never-printed"
OURS = "https://line.example"


def test_viber_needs_an_address_at_which_it_can_call_us() -> None:
    told = mistakes({"PHEN_VIBER_TOKEN": VIBER})
    assert [line.partition(":")[0] for line in told] == ["PHEN_PUBLIC_URL"]
    assert "PHEN_VIBER_TOKEN" in told[0]
    assert VIBER not in told[0]


def test_the_address_that_viber_needs_is_named_beside_every_other_mistake() -> None:
    told = mistakes({"PHEN_VIBER_TOKEN": VIBER, "PHEN_PORT": "x", "PHEN_VIBER_API": "ftp://x"})
    assert [line.partition(":")[0] for line in told] == [
        "PHEN_PORT", "PHEN_PUBLIC_URL", "PHEN_VIBER_API",
    ]  # fmt: skip


def test_vibers_token_comes_from_the_environment_or_a_file_and_is_never_shown(
    tmp_path: Path,
) -> None:
    (tmp_path / "token").write_text(f"{VIBER}\n")
    for given in (
        {"PHEN_VIBER_TOKEN": VIBER},
        {"PHEN_VIBER_TOKEN_FILE": str(tmp_path / "token")},
    ):
        settings = read({**given, "PHEN_PUBLIC_URL": OURS}, Path("none.toml"))
        assert settings.viber_token is not None
        assert settings.viber_token.get_secret_value() == VIBER
        assert VIBER not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_without_vibers_token_there_is_no_viber_and_no_address_is_needed() -> None:
    settings = read({"PHEN_VIBER_TOKEN": "", "PHEN_VIBER_TOKEN_FILE": ""}, Path("none.toml"))
    assert settings.viber_token is None
    assert settings.viber_api == "https://chatapi.viber.com"


def test_a_file_of_vibers_token_that_is_not_there_is_named_by_its_setting(tmp_path: Path) -> None:
    told = mistakes({"PHEN_VIBER_TOKEN_FILE": str(tmp_path / "gone"), "PHEN_PUBLIC_URL": OURS})
    assert [line.partition(":")[0] for line in told] == ["PHEN_VIBER_TOKEN_FILE"]


@pytest.mark.parametrize("api", ["chatapi.viber.com", "ftp://chatapi.viber.com", "/pa", "//x"])
def test_an_api_of_vibers_that_is_no_address_is_named_without_its_value(api: str) -> None:
    told = mistakes({"PHEN_VIBER_API": api})
    assert told == ["PHEN_VIBER_API: Value error, begins with http:// or https://"]


def test_a_trailing_slash_of_vibers_api_is_dropped() -> None:
    assert read({"PHEN_VIBER_API": "http://x:1/"}, Path("none.toml")).viber_api == "http://x:1"


# --- the desk's own bot ----------------------------------------------------------------------

DESK = "5550001:AAE-desk-never-printed"


def test_the_desks_bot_and_its_group_are_read_and_its_token_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{DESK}\n")
    for given in ({"PHEN_DESK_TOKEN": DESK}, {"PHEN_DESK_TOKEN_FILE": str(tmp_path / "token")}):
        settings = read({**given, "PHEN_DESK_CHAT": "-1001234567890"}, Path("none.toml"))
        assert settings.desk_token is not None
        assert settings.desk_token.get_secret_value() == DESK
        assert settings.desk_chat == -1001234567890
        assert DESK not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_without_them_the_desk_has_no_bot_and_no_group() -> None:
    settings = read({"PHEN_DESK_TOKEN": "", "PHEN_DESK_CHAT": ""}, Path("none.toml"))
    assert (settings.desk_token, settings.desk_chat) == (None, None)


def test_a_group_without_the_desks_bot_is_a_mistake() -> None:
    told = mistakes({"PHEN_DESK_CHAT": "-1001234567890"})
    assert [line.partition(":")[0] for line in told] == ["PHEN_DESK_TOKEN"]


def test_a_group_is_named_by_its_number() -> None:
    told = mistakes({"PHEN_DESK_TOKEN": DESK, "PHEN_DESK_CHAT": "@centre"})
    assert [line.partition(":")[0] for line in told] == ["PHEN_DESK_CHAT"]
    assert "@centre" not in told[0]


def test_one_bot_is_never_both_the_womens_and_the_desks(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    told = mistakes({"PHEN_TELEGRAM_TOKEN": TOKEN, "PHEN_DESK_TOKEN_FILE": str(tmp_path / "token")})
    assert [line.partition(":")[0] for line in told] == ["PHEN_DESK_TOKEN"]
    assert TOKEN not in told[0]
