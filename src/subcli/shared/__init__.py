"""Code that client and server share: messages, secrets, URLs, files."""
