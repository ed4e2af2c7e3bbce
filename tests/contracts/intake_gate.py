"""Contract of the IntakeGate port. Fixtures: `open_gate` and `closed_gate`."""


class IntakeGateContract:
    async def test_an_open_gate_has_no_reason(self, open_gate):
        assert open_gate.closed() is None

    async def test_a_closed_gate_names_its_reason_in_one_line(self, closed_gate):
        reason = closed_gate.closed()
        assert reason
        assert "\n" not in reason
        assert closed_gate.closed() == reason
