"""One case again, in full: `python -m campaign FAMILY SEED`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from campaign import seeds, worker


def main() -> None:
    family, numbers = sys.argv[1], sys.argv[2:]
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    kept = Path(os.environ.get("CAMPAIGN_SEEDS") or folder / "seeds")
    made = seeds.Seeds(kept)
    if not kept.exists():
        kept.mkdir(parents=True)
        made = seeds.make(kept)
    worker.warm_up()
    for number in numbers:
        found = worker.run(family, int(number), made, folder)
        told = json.dumps({**found, "out": "", "err": ""})
        sys.stdout.write(f"{told}\n{found['out']}\n--\n{found['err']}\n")
    shutil.rmtree(folder, ignore_errors=True)


main()
