"""Scripted submissions, and a terminal to watch them on."""
