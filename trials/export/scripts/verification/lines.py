"""The lines of a verification."""

Line = dict[str, str]


def line(check: str, verdict: str, found: str, reason: str = "") -> Line:
    """One line of the verification; verdicts are ``pass``, ``warning``, ``fail`` and ``not judged``."""
    return {"check": check, "verdict": verdict, "found": found, "reason": reason}


def table(lines: list[Line]) -> str:
    """The lines as text; control characters that come from files are replaced by spaces."""
    texts = []
    for item in lines:
        texts.append(f"{item['verdict']:12}{item['check']}: {item['found']}")
        texts += [f"{'':12}{text}" for text in item["reason"].splitlines()]
    return "\n".join("".join(sign if sign.isprintable() else " " for sign in text) for text in texts)
