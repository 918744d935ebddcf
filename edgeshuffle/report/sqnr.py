"""How a signal to quantization noise ratio is shown: None, without any noise, is `equal`."""

from __future__ import annotations

from edgeshuffle.report.table import Column, Worded


def decibels(value: float | None) -> str:
    """One digit after the point."""
    return "equal" if value is None else f"{value:.1f}"


def sqnr_cell(value: float | None) -> Worded:
    """The same, with the value for programs."""
    return Worded(value=value, text=decibels(value))


def sqnr_column(of: str = "") -> Column:
    """Of ratios, where there are several with what each is `of`."""
    key = f"{of}_sqnr_db" if of else "sqnr_db"
    return Column(key=key, heading=of or "SQNR", unit="dB")
