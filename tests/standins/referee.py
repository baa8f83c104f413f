"""aiogram's models as a second opinion: what the stand-in takes and gives is the real API's."""

from __future__ import annotations

import re
from typing import Any

from aiogram import methods
from aiogram.methods.base import Response
from aiogram.types import TelegramObject

from tests.standins.telegram import Call


def objections(call: Call) -> list[str]:
    """What aiogram does not know about this request or cannot read in its answer."""
    method = getattr(methods, call.method[0].upper() + call.method[1:], None)
    if method is None:
        return [f"{call.method} is no method"]
    known = {field.alias or name for name, field in method.model_fields.items()}
    faults = [f"{call.method} has no {name}" for name in call.params if name not in known]
    method.model_validate(call.params | {name: f"attach://{name}" for name in call.files})
    if call.answer is not None:
        answer = Response[method.__returning__].model_validate(call.answer)  # type: ignore[name-defined]
        faults += [f"{call.method} answers {path}" for path in _unknown(answer.result)]
    return faults


def _unknown(value: Any, path: str = "result") -> list[str]:
    """Fields that no type of the API has."""
    if isinstance(value, list):
        return [found for each in value for found in _unknown(each, path)]
    if not isinstance(value, TelegramObject):
        return []
    found = [f"{path}.{name}" for name in value.model_extra or {}]
    for name in type(value).model_fields:
        found += _unknown(getattr(value, name), f"{path}.{re.sub('_$', '', name)}")
    return found
