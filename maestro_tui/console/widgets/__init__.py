"""Widgets that draw what the console knows."""
