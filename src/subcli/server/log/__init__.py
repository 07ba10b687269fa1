"""The event log: the database, the store, and the feed from it."""
