"""What can be done to one network: build it, compress it, train it, export it, measure it.

Knows no study, no scheduler and no database. Importing it imports nothing heavy.
"""
