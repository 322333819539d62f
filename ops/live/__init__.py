"""What is: thin readers, each of which asks one system and gives plain facts. They change nothing.

A reader that can't get an answer gives `Unasked` with the cause. `asking.beside` runs readers
beside each other, so that many clusters take about as long as the slowest.
"""
