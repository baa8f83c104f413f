"""The settings: every mistake at once, by name, with the nearest right one, and no value."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import Settings, SettingsWrong, TelegramMode, read

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


# --- Telegram's webhook ----------------------------------------------------------------------

HOOKED = {
    "PHEN_TELEGRAM_TOKEN": TOKEN,
    "PHEN_TELEGRAM_MODE": "webhook",
    "PHEN_TELEGRAM_WEBHOOK_SECRET": "Never-printed_0",
    "PHEN_PUBLIC_URL": OURS,
}


def test_telegram_is_asked_for_updates_unless_it_is_to_call_us() -> None:
    assert read({}, Path("none.toml")).telegram_mode is TelegramMode.POLLING
    settings = read(HOOKED, Path("none.toml"))
    assert settings.telegram_mode is TelegramMode.WEBHOOK
    assert settings.telegram_webhook_secret is not None
    assert settings.telegram_webhook_secret.get_secret_value() == "Never-printed_0"
    assert "Never" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize("ours", ["http://127.0.0.1:8000", "http://localhost", "https://x.example"])
def test_a_webhook_needs_https_but_on_loopback(ours: str) -> None:
    assert read({**HOOKED, "PHEN_PUBLIC_URL": ours}, Path("none.toml")).public_url == ours


@pytest.mark.parametrize("ours", ["", "http://line.example", "http://127.0.0.1.example"])
def test_an_address_that_telegram_does_not_call_is_a_mistake(ours: str) -> None:
    told = mistakes({**HOOKED, "PHEN_PUBLIC_URL": ours})
    assert [line.partition(":")[0] for line in told] == ["PHEN_PUBLIC_URL"]
    assert "line.example" not in told[0]


def test_everything_that_a_webhook_needs_is_named_at_once() -> None:
    told = mistakes({"PHEN_TELEGRAM_MODE": "webhook", "PHEN_PORT": "x"})
    assert [line.partition(":")[0] for line in told] == [
        "PHEN_PORT", "PHEN_PUBLIC_URL", "PHEN_TELEGRAM_WEBHOOK_SECRET",
    ]  # fmt: skip


@pytest.mark.parametrize("secret", ["a" * 257, "two words", "тайна", "a.b", "x\n"])
def test_a_secret_that_telegram_does_not_take_is_named_without_its_value(secret: str) -> None:
    told = mistakes({**HOOKED, "PHEN_TELEGRAM_WEBHOOK_SECRET": secret})
    assert [line.partition(":")[0] for line in told] == ["PHEN_TELEGRAM_WEBHOOK_SECRET"]
    assert secret not in told[0]


def test_the_secret_comes_from_a_file_and_a_mode_misspelt_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("Never-printed_0\n")
    given = {**HOOKED, "PHEN_TELEGRAM_WEBHOOK_SECRET": ""}
    given["PHEN_TELEGRAM_WEBHOOK_SECRET_FILE"] = str(tmp_path / "secret")
    assert read(given, Path("none.toml")).telegram_mode is TelegramMode.WEBHOOK
    told = mistakes({**given, "PHEN_TELEGRAM_MODE": "hook"})
    assert [line.partition(":")[0] for line in told] == ["PHEN_TELEGRAM_MODE"]


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


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///data/phen.db",
        "sqlite+aiosqlite:////srv/phen.db",
        "postgresql://phen:secret-4711@db.example/phen",
        "postgresql+asyncpg://phen@/phen?host=/run/postgresql",
        "postgresql://phen@one,two:5433/phen?target_session_attrs=read-write",
    ],
)
def test_either_database_is_named_by_its_address(url: str) -> None:
    settings = read({"PHEN_DATABASE_URL": url}, Path("none.toml"))
    assert settings.database == url
    assert "4711" not in f"{settings!r} {settings}"


@pytest.mark.parametrize(
    "url",
    ["mysql://x:secret-4711@h/phen", "postgres://x:secret-4711@h/phen", "postgresql://secret-4711",
     "postgresql+psycopg2://x:secret-4711@h/phen", "/srv/secret-4711.db", "sqlite:secret-4711"],
)  # fmt: skip
def test_another_database_is_a_mistake_that_is_named_without_its_value(url: str) -> None:
    (told,) = mistakes({"PHEN_DATABASE_URL": url})
    assert told.startswith("PHEN_DATABASE_URL: ")
    assert "postgresql://role:password@host/database" in told
    assert "4711" not in told
