"""What commands that do not watch print."""
