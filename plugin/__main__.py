"""The plugin, as the engine starts it: by this folder's path alone."""

from edgefleet.plugin.server import main  # pyright: ignore[reportMissingImports] (its own environment)

main()
