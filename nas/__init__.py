"""What can be done to one network: build it, compress it, train it, export it, measure it.

Knows no study, no scheduler and no database. Importing it imports nothing heavy.
"""

#: Tells this package from others of the same name, see measured_nas/packages.py.
__distribution__ = "measured-nas"
