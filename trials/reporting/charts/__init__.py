"""Figures: columns of numbers in, plotly figures out."""
