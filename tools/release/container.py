"""Rules for a container file, where no engine is at hand to build it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.checks import CheckError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KNOWN = frozenset({
    "FROM", "ARG", "ENV", "COPY", "RUN", "LABEL", "WORKDIR", "USER", "HEALTHCHECK", "CMD",
    "ENTRYPOINT", "EXPOSE", "VOLUME",
})  # fmt: skip
"""Instructions it may have: no ADD, which fetches and unpacks, and no SHELL."""
_SECRET = re.compile(r"passw|secret|token|api_?key|credential|BEGIN [A-Z ]*PRIVATE", re.IGNORECASE)
_PINNED = re.compile(r"^[\w./-]+(:[\w.-]*\d[\w.-]*|@sha256:[0-9a-f]{64})$")


@dataclass(frozen=True, slots=True)
class Line:
    """An instruction, in one line."""

    word: str
    rest: str


def parse(text: str) -> tuple[Line, ...]:
    """Read the instructions, without comments, their lines joined."""
    plain = "".join(
        line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#")
    )
    joined = re.sub(r"\\\n\s*", " ", plain)
    found = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return tuple(Line(word.upper(), rest.strip()) for word, _, rest in found)


def check(text: str, context: Path) -> str:
    """See that the file keeps the rules.

    Args:
        text: The container file.
        context: Folder from which it copies; what is only built may be absent (`dist/`).

    Raises:
        CheckError: It breaks some, all of which are named.
    """
    lines = parse(text)
    wrong = [*_instructions(lines), *_bases(lines), *_user(lines), *_copies(lines, context)]
    wrong += [f"{line.word} {line.rest[:40]} may hold a secret" for line in _with_secrets(lines)]
    if wrong:
        raise CheckError(f"container file: {'; '.join(wrong)}")
    return f"{len(lines)} instructions keep the rules"


def _instructions(lines: Sequence[Line]) -> Iterator[str]:
    words = [line.word for line in lines]
    yield from (f"{word} is not allowed" for word in sorted(set(words) - KNOWN))
    if "HEALTHCHECK" not in words:
        yield "no HEALTHCHECK"
    for line in lines:
        if line.word in ("CMD", "ENTRYPOINT") and not line.rest.startswith("["):
            yield f"{line.word} {line.rest}: write it as a list, so that signals arrive"
        if line.word == "RUN" and re.search(r"\b(curl|wget|sudo)\b", line.rest):
            yield f"RUN {line.rest[:40]}: nothing is fetched but by pip"


def _bases(lines: Sequence[Line]) -> Iterator[str]:
    stages: set[str] = set()
    for line in lines:
        if line.word == "FROM":
            image, _, stage = line.rest.partition(" AS ")
            if image not in stages and not _PINNED.match(image):
                yield f"FROM {image}: pin a tag with a version"
            stages.add(stage)


def _user(lines: Sequence[Line]) -> Iterator[str]:
    last = max((at for at, line in enumerate(lines) if line.word == "FROM"), default=0)
    users = [line.rest for line in lines[last:] if line.word == "USER"]
    if not users or users[-1].split(":")[0] in ("0", "root"):
        yield "the last stage must end as a USER that is not root"


def _copies(lines: Sequence[Line], context: Path) -> Iterator[str]:
    for line in lines:
        words = [word for word in line.rest.split() if not word.startswith("--")]
        if line.word != "COPY" or "--from=" in line.rest:
            continue
        for source in words[:-1]:
            if source in (".", "./", "*"):
                yield f"COPY {source}: name what is copied"
            elif not source.startswith("dist/") and not list(context.glob(source)):
                yield f"COPY {source}: is not there"


def _with_secrets(lines: Sequence[Line]) -> list[Line]:
    return [
        line
        for line in lines
        if line.word in ("ENV", "ARG", "RUN", "LABEL") and _SECRET.search(line.rest)
    ]
