"""Views: what users and scripts see on a screen, in a pipe, in a report."""
