from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage
from pathlib import Path

from fairuse_cli.demo.mailbox import Mailbox

TEXT = """\
Case c12

Over the last 8 seconds your server alder used 1.3 of this
machine's 2 CPU cores on average, while 2 other customers' servers there waited for CPU
14 % of the time.

And so on.

http://127.0.0.1:8460/c/abc.def

"""


async def test_a_mail_is_kept_and_its_sentence_link_and_picture_are_found(tmp_path: Path) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@hosting.example", "b@alder.example", "A notice"
    mail.set_content(TEXT)
    mail.add_attachment(b"not really", maintype="image", subtype="png")
    async with Mailbox(tmp_path) as mailbox:

        def hand_over() -> None:
            with smtplib.SMTP("127.0.0.1", mailbox.port, timeout=5) as client:
                client.send_message(mail)

        await asyncio.to_thread(hand_over)
    received = mailbox.about("c12", since=0)
    assert received is not None
    assert received.subject == "A notice"
    assert received.recipients == ("b@alder.example",)
    assert received.pictures == 1
    assert received.link == "http://127.0.0.1:8460/c/abc.def"
    assert received.sentence == (
        "Over the last 8 seconds your server alder used 1.3 of this machine's 2 CPU cores on "
        "average, while 2 other customers' servers there waited for CPU 14 % of the time."
    )
    assert received.file.read_bytes().count(b"A notice") == 1
    assert mailbox.about("c13", since=0) is None
    assert mailbox.about("c12", since=received.at + 1) is None
