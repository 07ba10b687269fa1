"""What several processes share over Redis: bus, queue, limits."""
