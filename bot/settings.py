"""The settings: from the environment or `phen.toml`, checked all at once, values never shown."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from rapidfuzz import process

PREFIX = "PHEN_"
FILE = "phen.toml"
_DATABASE = re.compile(r"sqlite(\+aiosqlite)?:///|postgresql(\+asyncpg)?://[^/?#]*/[^/?#]+")
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


class SettingsWrong(Exception):
    """Some settings are wrong; each line of the text names one and says what to do."""


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class TelegramMode(StrEnum):
    """How Telegram's updates come in: we ask for them, or it calls us."""

    POLLING = "polling"
    WEBHOOK = "webhook"


class Settings(BaseModel):
    """Everything that can be set from outside. Read it with `read`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Path("data")
    database_url: str = Field(default="", repr=False)  # it may hold a password
    master_key_file: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: str = ""
    telegram_token: SecretStr | None = None
    telegram_api: str = "https://api.telegram.org"
    telegram_mode: TelegramMode = TelegramMode.POLLING
    telegram_webhook_secret: SecretStr | None = None
    desk_token: SecretStr | None = None
    desk_chat: int | None = None
    viber_token: SecretStr | None = None
    viber_api: str = "https://chatapi.viber.com"
    log_level: LogLevel = LogLevel.INFO

    @field_validator("public_url", "telegram_api", "viber_api")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("begins with http:// or https://")
        return value.rstrip("/")

    @field_validator("telegram_webhook_secret")
    @classmethod
    def _is_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _SECRET.fullmatch(value.get_secret_value()):
            raise ValueError("is 1 to 256 of the signs A-Z, a-z, 0-9, _ and -")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: str) -> str:
        if value and not _DATABASE.match(value):
            raise ValueError("sqlite:///file, or postgresql://role:password@host/database")
        return value

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'phen.db'}"

    @property
    def key_file(self) -> Path:
        return self.master_key_file or self.data_dir / "keys" / "master.key"

    @property
    def address(self) -> str:
        """Where people reach the web page."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def on_loopback(self) -> bool:
        return self.host in _LOOPBACK


def read(environment: Mapping[str, str] | None = None, file: Path = Path(FILE)) -> Settings:
    """The settings of this process. The environment goes before the file.

    Raises `SettingsWrong`, naming every mistake at once and no value.
    """
    given: dict[str, Any] = {}
    mistakes: list[str] = []
    _from_file(file, given, mistakes)
    _from_environment(os.environ if environment is None else environment, given, mistakes)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        mistakes += [
            f"{PREFIX}{str(part['loc'][0]).upper()}: {part['msg']}" for part in error.errors()
        ]
    if "viber_token" in given and "public_url" not in given:
        mistakes.append("PHEN_PUBLIC_URL: Viber calls us there; set it beside PHEN_VIBER_TOKEN")
    if given.get("telegram_mode") == TelegramMode.WEBHOOK:
        mistakes += _needs_of_a_webhook(given)
    if "desk_chat" in given and "desk_token" not in given:
        mistakes.append("PHEN_DESK_TOKEN: the desk's group needs the desk's bot; set it, too")
    if "desk_token" in given and given["desk_token"] == given.get("telegram_token"):
        mistakes.append("PHEN_DESK_TOKEN: women's and staff's traffic never mix; use another bot")
    if mistakes:
        raise SettingsWrong("\n".join(sorted(mistakes)))
    return settings


def _needs_of_a_webhook(given: Mapping[str, Any]) -> list[str]:
    """What Telegram needs to call us, and we to know that it is Telegram."""
    mistakes = []
    if "telegram_webhook_secret" not in given:
        mistakes.append(
            "PHEN_TELEGRAM_WEBHOOK_SECRET: by it we know Telegram's calls; set it in webhook mode"
        )
    url = urlsplit(str(given.get("public_url", "")))
    if url.scheme != "https" and url.hostname not in _LOOPBACK:
        mistakes.append(
            "PHEN_PUBLIC_URL: in webhook mode Telegram calls us there; set it, with https://"
        )
    return mistakes


def _from_file(file: Path, given: dict[str, Any], mistakes: list[str]) -> None:
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        mistakes.append(f"{file.name}: cannot be read as TOML; look at its quotes and rights")
        return
    for key, value in entries.items():
        _take(key.lower().removeprefix(PREFIX.lower()), value, given, mistakes)


def _from_environment(
    environment: Mapping[str, str], given: dict[str, Any], mistakes: list[str]
) -> None:
    for key, value in environment.items():
        if key.startswith(PREFIX):
            _take(key.removeprefix(PREFIX).lower(), value, given, mistakes)


def _take(name: str, value: Any, given: dict[str, Any], mistakes: list[str]) -> None:
    if value == "" and (name in Settings.model_fields or name.removesuffix("_file") in _SECRETS):
        return  # set to nothing, as a compose file does, is not set
    if name in Settings.model_fields:
        given[name] = value
    elif name.removesuffix("_file") in _SECRETS:
        try:
            secret = Path(str(value)).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            mistakes.append(f"{PREFIX}{name.upper()}: the file cannot be read; check its rights")
            return
        if not secret:
            mistakes.append(f"{PREFIX}{name.upper()}: the file is empty; put the secret into it")
        given[name.removesuffix("_file")] = secret
    else:
        mistakes.append(_unknown(name))


def _unknown(name: str) -> str:
    near = process.extractOne(name, list(Settings.model_fields))
    return f"{PREFIX}{name.upper()}: no such setting; did you mean {PREFIX}{near[0].upper()}?"


_SECRETS = {"telegram_token", "telegram_webhook_secret", "desk_token", "viber_token"}
