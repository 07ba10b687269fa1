"""Scripted submissions, and a terminal to show them on."""
