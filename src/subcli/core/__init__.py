"""The pure half of the client: no I/O, no clock, no random numbers of its own."""
