"""Stores and block servers, and what every store promises."""
