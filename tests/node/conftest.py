"""Makes the tests importable as `tests.node…`, so that the rooms share one small world."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
