"""``subcli auth``: log in, log out, show the login, print the token."""
