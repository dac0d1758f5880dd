"""Operations on one network: building, compressing, training, exporting and measuring it.

This package does not know studies, schedulers and databases. Importing it imports no large packages.
"""

#: Distinguishes this package from others with the same name, see measured_nas/packages.py.
__distribution__ = "measured-nas"
