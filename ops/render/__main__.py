"""`python -m ops.render [STACK…]` prints this folder's stacks as JSON, to compare with another
revision: that one's program renders that one's files.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from infra.errors import SettingsError
from ops.render.offline import render_project

try:
    made = render_project(Path.cwd(), sys.argv[1:])
except SettingsError as mistake:
    sys.exit(str(mistake))
json.dump({name: asdict(rendering) for name, rendering in made.items()}, sys.stdout)
