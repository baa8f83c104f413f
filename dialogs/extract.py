"""Brings the translators' files up to date with the Bulgarian: `python -m dialogs.extract`.

Each entry is found again by its text id (msgctxt). Where the Bulgarian changed, the translation
stays and is marked fuzzy, so that nobody reads it before a translator has looked at it.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from dialogs.lint import Rules, load_rules
from dialogs.load import CATALOGUE, FOLDER, ContentError, load
from dialogs.model import SOURCE_LANGUAGE, Content, Language

SIGNED = "signed"
"""The flag by which a native speaker says: this may be shown."""


def template(content: Content, rules: Rules) -> Catalog:
    """Every text that a woman reads, by its id, with the file and line where it stands."""
    catalogue = Catalog(project="Phen", fuzzy=False)
    for text in content.texts.values():
        if rules.is_for_her(text.id):
            where = [(text.source.file, text.source.line)]
            catalogue.add(text.text, context=text.id, locations=where)
    return catalogue


def merge(old: Catalog, new: Catalog, language: Language) -> Catalog:
    """The template's entries with the translations that `old` has for them.

    What the content no longer has is kept at the end as obsolete.
    """
    merged = Catalog(
        locale=language,
        project="Phen",
        creation_date=old.creation_date,
        revision_date=old.revision_date,
        last_translator=old.last_translator,
        language_team=old.language_team,
        header_comment=old.header_comment,
        fuzzy=False,
    )
    entries = [*old.obsolete.values(), *(message for message in old if message.id)]
    known = {message.context: message for message in entries}
    for message in new:
        if message.id:
            _add(merged, message, known.pop(message.context, None))
    for left in known.values():
        if left.string:
            merged.obsolete[(str(left.id), str(left.context))] = left
    return merged


def _add(merged: Catalog, message: Message, known: Message | None) -> None:
    flags: set[str] = set()
    if known is not None:
        flags = set(known.flags)
        if str(known.id).strip() != str(message.id) and known.string:
            flags = (flags - {SIGNED}) | {"fuzzy"}
        elif not known.string:
            flags.discard("fuzzy")
    merged.add(
        message.id,
        known.string if known is not None else "",
        locations=message.locations,
        flags=flags,
        user_comments=known.user_comments if known is not None else (),
        context=message.context,
    )


def update_catalogues(folder: Path = FOLDER, locales: Path | None = None) -> list[Path]:
    """Write the catalogue of every required language and of every other that exists.

    Returns the files that changed. Raises `dialogs.load.ContentError`.
    """
    locales = folder.resolve().parent / "locales" if locales is None else locales
    content, rules = load(folder, locales), load_rules()
    new = template(content, rules)
    wanted = dict.fromkeys([*rules.required, *content.languages])
    paths = [(name, locales / name / CATALOGUE) for name in wanted if name != SOURCE_LANGUAGE]
    return [path for name, path in paths if _update(path, new, name)]


def _update(path: Path, new: Catalog, language: Language) -> bool:
    before = path.read_bytes() if path.exists() else b""
    old = read_po(BytesIO(before), locale=language) if before else Catalog(locale=language)
    written = BytesIO()
    write_po(written, merge(old, new, language), width=0)
    if written.getvalue() == before:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(written.getvalue())
    return True


def main() -> int:
    """Say what was written; what is wrong with the content goes to standard error."""
    try:
        changed = update_catalogues()
    except ContentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{path}\n" for path in changed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
