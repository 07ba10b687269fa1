"""Views: what a watch looks like on a screen, in a pipe, in a report."""
