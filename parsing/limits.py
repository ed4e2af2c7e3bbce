"""Limits of parsing one mail, and of the parser children."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserLimits:
    """Limits and sizes. A mail that exceeds CPU time, elapsed time or memory is shown raw."""

    in_process_max_bytes: int = 32 * KIB  # a simple mail up to this is parsed without a child
    children_max: int = 2  # of one process; more mails wait
    cpu_s: int = 20  # of one mail, whole seconds
    elapsed_s: float = 60.0  # more than `cpu_s`, so that a busy machine fails no mail
    memory_bytes: int = 512 * MIB  # of address space, plus ...
    memory_per_byte: int = 4  # ... this for each octet of the mail
    response_max_bytes: int = 64 * MIB  # of texts and lists; attachments are bounded by the mail
    idle_s: float = 60.0  # a child without a request ends after this time
    retire_bytes: int = 192 * MIB  # a child that holds more memory ends after its response
    start_s: float = 30.0  # from fork until the child is ready

    def memory_of(self, size_bytes: int) -> int:
        """Return the limit of address space for a mail of `size_bytes`."""
        return self.memory_bytes + self.memory_per_byte * size_bytes
