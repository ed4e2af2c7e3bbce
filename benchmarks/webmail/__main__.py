"""Measure the webmail alone, and print its table.

`python -m benchmarks.webmail [--mails N] [--work full|quick|tiny]` starts a stack of its own, with
the stand-in for spamd.
"""

import argparse
import json
import signal
import sys

import uvloop

from benchmarks import fixtures, report
from benchmarks.end_to_end import Sender, tokens_of
from benchmarks.stack import running, stack
from benchmarks.webmail.measure import QUICK, TINY, Mailbox, Work, measure

WORK = {"full": Work(), "quick": QUICK, "tiny": TINY}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webmail", description=__doc__)
    parser.add_argument("--mails", type=int, default=200_000)
    parser.add_argument("--work", choices=WORK, default="full")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exit also stops the stack
    corpus, address = fixtures.Corpus(bodies=0), fixtures.address(0)
    with stack() as stack_:
        words = ("--users", "0", "--filled", str(options.mails), "--indexed", "1000")
        _, boxes = tokens_of(stack_.run("benchmarks.seed", *words))
        with running(stack_, "--stand-in"):
            sender = Sender(stack_, corpus, [address])
            mailbox = Mailbox(
                address=address, token=boxes[options.mails], sender=sender, corpus=corpus
            )
            figures = uvloop.run(measure(stack_, mailbox, WORK[options.work]))
    print(json.dumps(figures), file=sys.stderr)
    print(report.webmail({"webmail": {"mails": options.mails, "figures": figures}}))


if __name__ == "__main__":
    main()
