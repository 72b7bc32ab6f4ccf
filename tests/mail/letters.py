"""Mails as they come back, and the addresses that they come back to."""

from __future__ import annotations

from controller.contact.addresses import CaseAddresses
from tests.contact import samples

SECRET = bytes(range(32))
MAILBOX = "fairuse@north.example"
ADDRESSES = CaseAddresses(SECRET, MAILBOX)
CASE = ADDRESSES.for_replies(samples.CASE_ID)
LETTER = ADDRESSES.for_bounces(samples.FIRST_NOTICE)


def mail(
    text: str = "We are looking into it.\n",
    *,
    to: str = CASE,
    headers: str = "",
    message_id: str = "<1@example.org>",
    content_type: str = 'text/plain; charset="utf-8"',
) -> bytes:
    """What a customer's mail program sends."""
    return (
        f"{headers}From: Anna <anna@example.org>\nTo: {to}\nSubject: Re: fair use\n"
        f"Date: Sun, 22 Nov 2026 15:00:00 +0000\nMessage-ID: {message_id}\n"
        f"MIME-Version: 1.0\nContent-Type: {content_type}\n\n{text}"
    ).encode()


def report(
    action: str = "failed",
    *,
    to: str = LETTER,
    recipient: str = "anna@example.org",
    code: str = "smtp; 550 5.1.1 no such user",
    more: str = "",
) -> bytes:
    """A delivery status notification, as RFC 3464 has it."""
    return (
        f"Return-Path: <>\nFrom: MAILER-DAEMON@mx.example.org\nTo: {to}\n"
        f"Subject: Undelivered Mail Returned to Sender\nMessage-ID: <{action}@mx.example.org>\n"
        "Auto-Submitted: auto-replied\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nI'm sorry to have to inform you.\n\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.org\n\n"
        f"Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: 5.1.1\n"
        f"Remote-MTA: dns; mx2.example.org\nDiagnostic-Code: {code}\n{more}\n"
        "--b\nContent-Type: message/rfc822\n\nSubject: fair use\n\nHello\n\n--b--\n"
    ).encode()
