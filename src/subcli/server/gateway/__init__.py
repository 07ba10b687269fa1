"""WebSockets: the sockets, and what is sent over them."""
