"""The smallest page of Streamlit with a table or a chart, as the address asks: the baseline of ``dashboard_pages``."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

VALUES = [1.0, 2.0, 3.0]
if "table" in st.query_params:
    st.dataframe(pd.DataFrame({"value": VALUES}))
else:
    st.plotly_chart(go.Figure(go.Scatter(x=VALUES, y=VALUES, mode="markers")))
