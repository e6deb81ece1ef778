"""E-mail templates: a subject and a body become a mail.

Compiled once per version: Jinja's tags are masked, MJML (with the shared base, by
mj-include) becomes HTML and text, CSS is inlined, the tags are put back. Rendered once
per recipient by Jinja alone, strictly: a name that does not exist is an error, a
template cannot load another, and it sees plain values only.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import css_inline
import jinja2
import mjml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from campaigns.domain.headers import header_text
from campaigns.errors import RenderError, TemplateError
from campaigns.mail.text_part import text_of, tidied

_BASE: Final = "_base"
_FILES: Final = ("subject.txt", "body.mjml")
_STATEMENT: Final = re.compile(r"\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_EXPRESSION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_INCLUDE: Final = re.compile(r'<mj-include\s+path="([^"]*)"\s*/>')
_SHARED: Final = re.compile(rf"{_BASE}/[a-z-]+\.mjml")
_MASKED: Final = re.compile(r"<!--wb(\d+)-->|WBX(\d+)X")
_TRIMMING: Final = re.compile(r"(?<=\{%)[-+]|[-+](?=%\})|(?<=\{\{)-|-(?=\}\})")
_LONGEST_SUBJECT: Final = 150
# Nothing is ever fetched while a template is compiled.
_INLINER: Final = css_inline.CSSInliner(
    keep_style_tags=True, keep_at_rules=True, load_remote_stylesheets=False
)


class Order(NamedTuple):
    """A mail that is wanted: a template's name, and the facts that fill it."""

    template: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's three parts."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class CompiledTemplate:
    """A template that is ready to be rendered for one recipient after another."""

    name: str
    version: str
    _subject: jinja2.Template
    _html: jinja2.Template
    _text: jinja2.Template

    def render(self, facts: Mapping[str, Any]) -> Rendered:
        """Return the mail made of `facts`.

        Raises:
            RenderError: A fact that the template names is missing, or the subject is
                empty, or not one plain line.
        """
        try:
            subject = self._subject.render(facts).strip()
            rendered = Rendered(
                subject, self._html.render(facts), tidied(self._text.render(facts))
            )
        except jinja2.TemplateError as error:
            raise RenderError(f"template {self.name}: {error}") from error
        except Exception as error:  # templates are untrusted: they may raise anything
            kind = type(error).__name__
            raise RenderError(f"template {self.name}: {kind}: {error}") from error
        _check_subject(self.name, subject)
        return rendered


def _check_subject(name: str, subject: str) -> None:
    if not 1 <= len(subject) <= _LONGEST_SUBJECT:
        raise RenderError(
            f"template {name}: the subject must have 1 to {_LONGEST_SUBJECT} characters"
        )
    try:
        header_text(subject)
    except ValueError as error:
        raise RenderError(f"template {name}: the subject {error}") from error


class Templates:
    """The e-mail templates of some folders; the first that has one wins.

    Args:
        folders: Folders that hold one folder per template, and `_base`.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._environments = _environments()
        self.compiled: Callable[[str], CompiledTemplate] = cache(self._compile)

    def names(self) -> list[str]:
        """Return the names of all templates that are complete."""
        return sorted(
            {
                path.parent.name
                for folder in self._folders
                for path in folder.glob("*/body.mjml")
                if all((path.parent / name).is_file() for name in _FILES)
            }
        )

    def render(self, orders: Iterable[Order]) -> Iterator[Rendered | RenderError]:
        """Yield the mail of each order, or why it cannot be made."""
        for order in orders:
            try:
                yield self.compiled(order.template).render(order.facts)
            except RenderError as error:
                yield error
            except TemplateError as error:
                yield RenderError(str(error))
            except Exception as error:  # noqa: BLE001 — untrusted, also when compiled
                yield RenderError(f"template {order.template}: {type(error).__name__}")

    def _compile(self, name: str) -> CompiledTemplate:
        sources = {file: self._read(f"{name}/{file}") for file in _FILES}
        for_html, for_text = self._environments
        for file, source in sources.items():
            # As it was written, so that an error has the line its author sees.
            try:
                for_text.parse(source)
            except jinja2.TemplateSyntaxError as error:
                raise TemplateError(
                    f"template {name}, {file}, line {error.lineno}: {error.message}"
                ) from error
        html, text = self._compile_mjml(name, sources["body.mjml"])
        version = sha256("\x1f".join([sources["subject.txt"], html, text]).encode())
        try:
            return CompiledTemplate(
                name,
                version.hexdigest()[:16],
                for_text.from_string(sources["subject.txt"]),
                for_html.from_string(html),
                for_text.from_string(text),
            )
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(f"template {name}: {error.message}") from error

    def _read(self, path: str) -> str:
        for folder in self._folders:
            if (folder / path).is_file():
                return _text_of(folder / path)
        raise TemplateError(
            f"there is no template file {path} in {', '.join(map(str, self._folders))}"
        )

    def _included(self, name: str, path: str) -> str:
        """Return a file of the shared base: a template cannot read others."""
        if not _SHARED.fullmatch(path):
            raise TemplateError(
                f"template {name}: may only include {_BASE}/….mjml, not {path!r}"
            )
        return self._read(path)

    def _compile_mjml(self, name: str, source: str) -> tuple[str, str]:
        """Return HTML and text made of a body, with Jinja's tags in their places."""
        # Put in place here: the compiler forgets a mail's width in what it includes.
        whole = _INCLUDE.sub(lambda found: self._included(name, found[1]), source)
        if "mj-include" in whole.lower():
            raise TemplateError(
                f'template {name}: an include is written <mj-include path="{_BASE}/….'
                'mjml" />, and what is included includes nothing'
            )
        mask = _Mask()
        masked = mask.hide(whole)
        try:
            html = mjml.mjml2html(masked)
        except (OSError, ValueError, TypeError) as error:
            raise TemplateError(f"template {name}: body.mjml: {error}") from error
        # In text a tag that trims would glue lines: they are tidied when rendered.
        text = _TRIMMING.sub("", mask.show(text_of(masked)))
        return mask.show(_INLINER.inline(html)), text


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: cannot be read as UTF-8: {error}") from error


class _Mask:
    """Hides Jinja's tags from tools that only know HTML, and puts them back.

    Statements become comments and expressions words, because that is what survives at
    the places they stand in.
    """

    def __init__(self) -> None:
        self._hidden: list[str] = []

    def hide(self, source: str) -> str:
        """Return `source` with every tag replaced by a mark."""
        if mark := _MASKED.search(source):
            raise TemplateError(f"a template may not hold {mark.group()!r}")
        source = _STATEMENT.sub(lambda tag: f"<!--wb{self._keep(tag)}-->", source)
        return _EXPRESSION.sub(lambda tag: f"WBX{self._keep(tag)}X", source)

    def _keep(self, tag: re.Match[str]) -> int:
        self._hidden.append(tag.group())
        return len(self._hidden) - 1

    def show(self, html: str) -> str:
        """Return `html` with every mark replaced by its tag."""
        return _MASKED.sub(
            lambda mark: self._hidden[int(mark.group(1) or mark.group(2))], html
        )


def _environments() -> tuple[jinja2.Environment, jinja2.Environment]:
    """Return the environments for HTML (escaping) and for text (not)."""
    both = []
    for autoescape in (True, False):
        environment = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined,
            autoescape=autoescape,
            trim_blocks=autoescape,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.globals.clear()
        environment.filters = {name: environment.filters[name] for name in _FILTERS} | {
            "day": _day,
            "sentence": _sentence,
        }
        both.append(environment)
    return both[0], both[1]


_FILTERS: Final = (
    "capitalize",
    "default",
    "e",
    "escape",
    "first",
    "join",
    "length",
    "lower",
    "replace",
    "round",
    "title",
    "trim",
    "truncate",
    "upper",
    "urlencode",
)


def _day(value: date) -> str:
    """Return a date as people write it: 4 May 2026."""
    return f"{value.day} {value:%B %Y}"


def _sentence(text: str) -> str:
    """Return `text` with a capital first letter, the rest as it was."""
    return text[:1].upper() + text[1:]
