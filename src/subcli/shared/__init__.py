"""What client and server both need: the messages, secrets, URLs, files."""
