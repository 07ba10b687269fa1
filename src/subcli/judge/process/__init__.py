"""Processes of a solution: how they are started, confined, watched and removed."""
