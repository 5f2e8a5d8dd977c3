"""Prepare a world once, and play each script that comes in over stdin in a copy of it.

    python nursery.py FOLDER loaded|fresh|MODEL

One JSON document a line: `{"switches": {...}, "script": [[name, numbers…], …]}`. The answer, a
line too, is what was wrong in the end, how often faults struck, and which runs they broke off. `loaded`
worlds hold their history on both sides already, `fresh` ones at the till only; a MODEL (person_account,
contact, lead) is a small one of customers alone, whose script is of `people_life`, under the `rules` given.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "stories")]

from closed import ClosedWorld  # noqa: E402  The path comes first.
from life import Life  # noqa: E402
from people_life import MODELS, PeopleLife  # noqa: E402

from tillbridge.simulators.retailer import Plan  # noqa: E402

PLAN = Plan(seed=5, shops=2, customers=8, sales=14, products=6)


def main(folder: Path, state: str) -> None:
    home, twin = folder / "home", folder / "twin"
    home.mkdir()
    twin.mkdir()
    # A twin, played in this very process: what it loads and works out, every copy finds ready.
    born(twin, state).rehearse()
    life = born(home, state)
    gc.freeze()
    gc.disable()  # Copies live for a second, and share this process's memory until something touches it.
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for number, line in enumerate(sys.stdin):
        copy = folder / f"{number}"
        shutil.copytree(home, copy)
        if not (child := os.fork()):
            life.world.home = copy
            sys.stdout.write(json.dumps(played(life, json.loads(line))) + "\n")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
        shutil.rmtree(copy)


def born(home: Path, state: str) -> Life:
    """Return the life that a state's scripts begin with."""
    if state in MODELS:
        return PeopleLife(ClosedWorld(home, model=state).install()).prepare()
    world = ClosedWorld(home, plan=PLAN).install()
    if state == "loaded":
        world.backfill()
        world.sync()
    return Life(world)


def played(life: Life, task) -> dict:
    """Play one script in this copy of a life; return what is wrong in the end, and what was suffered."""
    try:
        life.world.till_app.world.switches.set(task["switches"])
        life.begin(task["rules"])
        life.play(task["script"])
        wrong = life.settle()
    except Exception:  # noqa: BLE001  Whatever it was is told.
        wrong = traceback.format_exc()
    return {"wrong": wrong, "struck": life.struck, "broken_off": life.errors, "kills": life.kills}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
