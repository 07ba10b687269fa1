"""REST, the pages, health checks."""
