"""Circuits: which units make a network switch, found by algorithm and proved by intervention."""
