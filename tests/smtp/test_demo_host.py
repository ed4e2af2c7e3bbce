"""The mail host of the demo takes what comes, as it comes."""

import asyncio
import smtplib
import socket

from smtp.demo_host import serving


async def test_a_mail_is_kept_with_its_envelope() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with serving("mx.demo.example", port) as host:
        await asyncio.to_thread(send, port)
        mail = host.arrived.get_nowait()
    assert (mail.reverse_path, mail.recipients) == ("ann@here.test", ("zoe@demo.example",))
    assert mail.content == b"Subject: Tea\r\n\r\nAt four?\r\n"


def send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, "here.test", timeout=30) as client:
        client.sendmail("ann@here.test", "zoe@demo.example", b"Subject: Tea\r\n\r\nAt four?\r\n")
