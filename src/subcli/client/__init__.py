"""The client's I/O: REST, the socket, logins, and the session that follows a submission."""
