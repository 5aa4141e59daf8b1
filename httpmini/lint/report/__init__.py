"""Findings as text, JUnit XML and HTML."""
