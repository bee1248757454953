"""Attacks, each under its number."""
