"""The drawing of a candidate's network."""

from __future__ import annotations

import streamlit as st

from nas.foreign import line, markdown
from trials.reporting.charts.network import network_dot
from trials.store.read.candidate import CandidateDetail


def show_drawing(detail: CandidateDetail) -> None:
    """Draw the network: stages, blocks, operators; with the times on the target that is chosen if several have some."""
    if not detail.layers:
        return
    st.subheader("Network")
    targets = [profile.target for profile in detail.profiles]
    target = targets[0] if targets else None
    if len(targets) > 1:
        target = st.segmented_control(
            "Times measured on", targets, default=targets[0], format_func=line, key="times", bind="query-params"
        )
    st.graphviz_chart(network_dot(detail, target), width="content", alt="The network as a graph")
    st.caption(
        "Each column is a stage; arrows follow the order of execution, and skip connections are not drawn. "
        "The darker the blue, the fewer bits the weights have. A dashed border means that weights are zero."
        + (
            f" Microseconds are those of the profile on {markdown(target)}: the wider the border, the more time, and "
            "it is orange from a tenth on."
            if target
            else ""
        )
    )
