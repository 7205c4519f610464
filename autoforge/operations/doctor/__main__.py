"""``python -m autoforge.operations.doctor``: a review with the settings of the environment, as JSON.

The job that the operator's page starts runs this, in a process of its own: what a review loads and computes is gone
afterwards, and no request waits for it.
"""

from __future__ import annotations

import asyncio
import sys

import msgspec

from autoforge.errors import AutoforgeError
from autoforge.operations.doctor.visit import examine
from autoforge.settings import load_settings


def main() -> int:
    try:
        report = asyncio.run(examine(load_settings()))
    except AutoforgeError as error:
        sys.stderr.write(f"{error.detail}\n")
        return error.exit_code
    sys.stdout.buffer.write(msgspec.json.encode(report.as_data()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
