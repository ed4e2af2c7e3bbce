"""Limits of one parse, and of the processes that parse."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserLimits:
    """A mail that is beyond CPU, clock or memory is shown raw."""

    here_max_bytes: int = 32 * KIB  # a common mail up to this is parsed without a child
    children_max: int = 2  # of one process; other mails wait for them
    cpu_s: int = 20  # whole seconds
    clock_s: float = 60.0  # longer than `cpu_s`: a busy machine is no fault of a mail
    memory_bytes: int = 512 * MIB  # of address space ...
    memory_per_byte: int = 4  # ... and so much for each byte of the mail
    answer_max_bytes: int = 64 * MIB  # of texts and lists; an attachment is no longer than its mail
    idle_s: float = 60.0  # a child without work ends after this
    retire_bytes: int = 192 * MIB  # a child that took more memory ends after its answer
    start_s: float = 30.0  # from fork to the first sign of life

    def memory_of(self, size_bytes: int) -> int:
        """Address space for parsing a mail of `size_bytes`."""
        return self.memory_bytes + self.memory_per_byte * size_bytes
