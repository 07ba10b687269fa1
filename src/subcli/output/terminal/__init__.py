"""The terminal: its capabilities, consoles, error messages, title, progress and notifications."""
