"""A page of the dashboard without a browser: what it would show."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def shown(url: str, name: str, *, allow_actions: bool = True, **asked: str) -> AppTest:
    """Show the page ``name`` of a database as the address asks for it, and check that no exception was shown."""
    options = {"url": url, "name": name, "allow_actions": allow_actions}
    app = AppTest.from_function(script, default_timeout=120, kwargs=options)
    for key, value in asked.items():
        app.query_params[key] = value
    app.run()
    assert [item.message for item in app.exception] == []
    return app


def script(url: str, name: str, *, allow_actions: bool) -> None:
    """One page of the dashboard, as ``dashboard.app`` shows it."""
    import streamlit as st

    from dashboard.actions import Actions
    from dashboard.context import Context
    from dashboard.pages import page_modules
    from dashboard.views import Views
    from dashboard.widgets import errors_shown
    from trials.store.database.engine import open_engine

    modules = page_modules()
    pages = {key: st.Page(lambda: None, title=module.TITLE, url_path=key) for key, module in modules.items()}
    st.navigation(list(pages.values()))
    engine = open_engine(url)
    with errors_shown():
        modules[name].show(Context(Views(engine), pages, name, Actions(url, allowed=allow_actions)))
    engine.dispose()
