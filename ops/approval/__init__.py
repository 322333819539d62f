"""Holds what `pulumi up` would do now against what a difference of the files said."""
