"""`python -m sandbox.toolchain` makes all of the sandbox's programs."""

import sys

from sandbox.toolchain.install import main

sys.exit(main(sys.argv[1:]))
