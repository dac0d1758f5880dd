"""Figures: functions that turn columns of numbers into plotly figures."""
