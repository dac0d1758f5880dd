"""The part of a chart to show, which the address holds and which stays when a live study adds trials."""

from __future__ import annotations

from typing import Any

import streamlit as st

#: Keys of the ends of the part: of the horizontal axis, and of the vertical one.
ENDS = (("x-from", "x-to"), ("y-from", "y-to"))


def asked_part(place: Any) -> tuple[bool, list[list[float | None]]]:
    """Ask for the part of the chart to show.

    Returns:
        Whether drawing a box in the chart zooms into it, and from which to which value both axes go; None stands for
        the end of the values.
    """
    known = any(key in st.query_params for keys in ENDS for key in keys)
    with place.expander("Zoom", expanded=known):
        zooms = st.toggle("Drag a box to zoom")
        part: list[list[float | None]] = []
        for axis, keys in zip(("Horizontal", "Vertical"), ENDS, strict=True):
            ends = zip(st.columns(2), keys, ("from", "to"), strict=True)
            part.append([_end(column, f"{axis} {word}", key) for column, key, word in ends])
        if known:
            st.button("Show all", on_click=show_all)
    return zooms, part


def _end(place: Any, label: str, key: str) -> float | None:
    found = place.number_input(label, value=None, format="%.5g", key=key, bind="query-params", placeholder="all")
    return None if found is None else float(found)


def zoom(chart: str) -> None:
    """Show the part in the box that was drawn in the chart with this key; a strip below it has no values to show."""
    for box in st.session_state[chart]["selection"]["box"]:
        for axis, keys in zip(("x", "y") if box["yref"] == "y" else ("x",), ENDS, strict=False):
            for key, end in zip(keys, sorted(map(float, box[axis])), strict=True):
                st.session_state[key] = float(f"{end:.5g}")


def show_all() -> None:
    """Show the whole chart."""
    for keys in ENDS:
        for key in keys:
            st.session_state.pop(key, None)
