"""Makes text from outside safe to show: names, reasons, tracebacks, choices, the output of programs.

Such text may contain control characters, terminal escapes, halves of surrogate pairs, any markup, and URLs with
passwords. The functions here return text that shows the same characters and has no other effect.
"""

from __future__ import annotations

import html
import re

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
#: Control characters except tab and newline; overrides of the text direction; halves of surrogate pairs.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: Characters that databases can't store.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SPACES = re.compile(r"[ \t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
#: ``scheme://user:password@``; the password ends at the last ``@`` before a space or a quote.
_PASSWORD = re.compile(r"""(\w://[^\s/:@'"]*):[^\s'"]*@""")
_SECRET_OPTION = re.compile(r"""([?&][\w.-]*(?:pass|secret|token|key)[\w.-]*)=[^\s&'"]+""", re.IGNORECASE)
#: Characters with a meaning in Markdown, in Streamlit's colours and icons, or in formulas.
_MARKDOWN = re.compile(r"""([\\`*_{}\[\]()<>#+\-.!|~$:&@^=/"'])""")

#: Two signs (``--``, ``>=``) or three (``<->``) between spaces, escaped: Streamlit draws a dash or an arrow instead.
_SIGNS = re.compile(r"(?<!\S)(\\[-<>~])(\\[-=>])(?=(?:\\>)?(?!\S))")


def storable(text: str) -> str:
    """Text that every database and file accepts; NUL and halves of surrogate pairs are replaced."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def lines(text: str) -> str:
    """Text of several lines, with passwords in URLs hidden and control characters replaced."""
    return _UNSHOWABLE.sub(_REPLACEMENT, hide_passwords(text).replace("\r\n", "\n").replace("\r", "\n"))


def line(text: str) -> str:
    """Text of one line, made safe like ``lines``; each run of spaces and line breaks becomes one space."""
    return _UNSHOWABLE.sub(_REPLACEMENT, _SPACES.sub(" ", hide_passwords(text)))


def markdown(text: str) -> str:
    """One line, escaped so that Streamlit's Markdown shows all its characters literally."""
    escaped = _MARKDOWN.sub(r"\\\1", line(text)).replace("\\:", "&#58;").replace("\\$", "&#36;")
    return _SIGNS.sub(r"\1*\2*", escaped)  # signs of different emphasis are not drawn as one


def figure_text(text: str) -> str:
    """One line, escaped so that plotly's titles, labels, legends and hover boxes show all its characters literally.

    Plotly interprets some HTML there, replaces ``%{x}``, and treats text between dollar signs as a formula.
    """
    shown = html.escape(line(text), quote=False)
    return shown.replace("$", "&#36;").replace("%{", "%&#123;")


def hide_passwords(text: str) -> str:
    """The text with passwords, and secret parameters, of all its URLs replaced by ``***``."""
    if "://" not in text:
        return text
    return _SECRET_OPTION.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", text))


def last_words(text: str, letters: int = 400) -> str:
    """The end of what a program printed, from a whole word on; it begins with ``…`` where something is left out."""
    text = text.strip()
    if len(text) <= letters:
        return text
    end = text[-letters:]
    blank = _SPACES.search(end)
    return f"…{end[blank.end() :] if blank else end}"
