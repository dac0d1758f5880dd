"""The page that explains the numbers, symbols and intervals of the other pages."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from nas.foreign import markdown
from trials.reporting.terms import TERMS, Term

TITLE, ICON, ORDER = "Help", ":material/help:", 9


def show(context: Context) -> None:
    """Show all terms, or those that contain the text that the address holds."""
    st.title("Help")
    asked = st.text_input("Find", placeholder="interval", key="find", bind="query-params") or ""
    found = {heading: [term for term in terms if _has(term, asked)] for heading, terms in TERMS.items()}
    if not any(found.values()):
        st.info("No explanation contains this text.")
    for heading, terms in found.items():
        if terms:
            st.subheader(heading)
            st.markdown("\n".join(_row(context, term) for term in terms))
    st.caption(
        "`docs/reference/glossary.md` defines all words, `docs/reference/measuring.md` explains the measurements."
    )


def _has(term: Term, text: str) -> bool:
    return text.strip().lower() in f"{term.name} {term.text}".lower()


def _row(context: Context, term: Term) -> str:
    links = ", ".join(f"[{context.pages[name].title}]({name})" for name in term.pages if name in context.pages)
    return f"- **{markdown(term.name)}**: {markdown(term.text)} :small[{links}]"
