"""Accounts, passwords, tokens, logins."""
