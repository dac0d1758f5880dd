"""Every deliberate error of the project, as one tree.

::

    NasError
    ├── UnknownNameError (LookupError)   a name no registry, plan or study has
    ├── MissingPackageError (ImportError)  a package that what was asked for needs and that is not installed
    ├── PlanError (ValueError)           the user's plan, or a value in it
    ├── SpaceError (ValueError)          a search space, its choices, or a replay that does not fit
    ├── TaskError (ValueError)           data that is missing, empty or of another shape
    ├── ExportError (RuntimeError)       an artifact that can't be written or does not compute the same
    ├── MeasureError (RuntimeError)      a session, runtime or target that can't measure
    ├── PlaceError (RuntimeError)        the place where work is done is bad: its disk, a lock, a lost process
    │   ├── ClusterError                 a Ray cluster that is gone, or has no place for a job
    │   └── UnavailableError             a target that can't measure now; a MeasureError too
    │       └── UnreachableError         a target's device that does not answer, or vanished
    ├── AllFailedError (RuntimeError)    a study whose candidates all fail
    ├── JobError (RuntimeError)          a job whose result can't be used (not a number, lost worker)
    ├── OriginalError (RuntimeError)     limits wait for scores of the original network, and it has none
    ├── StudyError (RuntimeError)        a study in another state than the request needs
    └── StoreError (RuntimeError)        the database or the artifact store
        └── StorageLostError             a database that stayed away, or whose file was removed or replaced

A message gives the value, what is allowed, and what to do.
"""


class NasError(Exception):
    """Base of every deliberate error; the command line prints its message without a traceback."""


class UnknownNameError(NasError, LookupError):
    """A name that no registry, plan or study has."""


class MissingPackageError(NasError, ImportError):
    """A package that what was asked for needs and that is not installed."""


class PlanError(NasError, ValueError):
    """The user's plan, or a value in it."""


class SpaceError(NasError, ValueError):
    """A search space, its choices, or a replay that does not fit."""


class TaskError(NasError, ValueError):
    """Data that is missing, empty or of another shape than declared."""


class ExportError(NasError, RuntimeError):
    """An artifact that can't be written, or that does not compute what the network computes."""


class MeasureError(NasError, RuntimeError):
    """A session, runtime or target that can't measure."""


class PlaceError(NasError, RuntimeError):
    """The place where work is done is bad: its disk, a lock, a lost process. The same work may succeed later."""


class UnavailableError(MeasureError, PlaceError):
    """A target that can't measure now: its core is taken, or its measuring process was killed."""


class UnreachableError(UnavailableError):
    """A target's device that does not answer, or vanished."""


class ClusterError(PlaceError):
    """A Ray cluster that is gone, or that had no place for a kind of job for too long."""


class AllFailedError(NasError, RuntimeError):
    """A study whose candidates all fail: the plan or the code is to be mended."""


class JobError(NasError, RuntimeError):
    """A job whose result can't be used: not a number, or its worker was lost."""


class OriginalError(NasError, RuntimeError):
    """Limits are relative to the scores of the original network, and it has none: it failed."""


class StudyError(NasError, RuntimeError):
    """A study in another state than the request needs."""


class StoreError(NasError, RuntimeError):
    """The database or the artifact store."""


class StorageLostError(StoreError):
    """A database that stayed away for too long, or whose file was removed or replaced while it was in use."""
