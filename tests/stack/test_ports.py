import os
import socket

import pytest

from stack.ports import ListenPort, PortsTaken, check_ports, free_port


def test_a_taken_port_is_named_with_its_setting_and_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = [
            ListenPort("POSTRIVER_HTTP_PORT", free_port()),
            ListenPort("POSTRIVER_SMTP_PORT", port),
        ]
        with pytest.raises(PortsTaken) as refused:
            check_ports(wanted)
    assert f"POSTRIVER_SMTP_PORT: port {port} on 127.0.0.1 is taken by" in str(refused.value)
    assert f"(pid {os.getpid()})" in str(refused.value)
    assert "HTTP" not in str(refused.value)
    check_ports(wanted)


def test_two_settings_with_the_same_port_are_named() -> None:
    port = free_port()
    with pytest.raises(PortsTaken, match=f"B: port {port} is also A"):
        check_ports([ListenPort("A", port), ListenPort("B", port)])


def test_a_port_of_an_outgoing_connection_is_taken_too() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        port = client.getsockname()[1]
        with pytest.raises(PortsTaken, match=f"X: port {port} on 127.0.0.1 is taken by"):
            check_ports([ListenPort("X", port)])
