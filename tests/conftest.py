"""Where the helpers are that several test files share."""

import sys
from pathlib import Path

for _name in ("stories", "store", "engine", "proof"):
    sys.path.insert(0, str(Path(__file__).parent / _name))
