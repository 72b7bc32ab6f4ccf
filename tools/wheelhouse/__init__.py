"""Fairuse as files that install themselves."""
