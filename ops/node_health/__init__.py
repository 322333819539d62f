"""A node's own health, before anything is blamed on the network: its disk, its CPU, its card.

`checks/` has one script a check. Each prints one line of JSON, changes nothing on the node, and
runs where it stands: from a pod that has entered the node's namespaces, by hand over SSH, or here.
`verdict.py` says what the lines mean.
"""
