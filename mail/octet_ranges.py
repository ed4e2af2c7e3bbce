"""Ranges of octets of a content."""


def check_range(start: int, size_bytes: int) -> None:
    """Check a range of octets. Raises ValueError: `start` or `size_bytes` is negative."""
    if start < 0 or size_bytes < 0:
        msg = f"no range of octets: {size_bytes} from {start}"
        raise ValueError(msg)
