"""Notices, channels, outbox: how a customer hears of a case."""
