"""The tree of all errors that this project raises on purpose.

::

    NasError
    ├── UnknownNameError (LookupError)     a name is unknown
    ├── MissingPackageError (ImportError)  a required package is not installed
    ├── PlanError (ValueError)             a plan or one of its values is wrong
    ├── SpaceError (ValueError)            a search space, a network or its choices are wrong
    ├── TaskError (ValueError)             data is missing or wrong
    ├── ProxyError (RuntimeError)          a zero-cost proxy can't score a network
    ├── ExportError (RuntimeError)         an artifact can't be written or computes other outputs
    ├── MeasureError (RuntimeError)        a session, runtime or target can't measure
    ├── PlaceError (RuntimeError)          the place where work runs is at fault: a disk, a lock, a lost process
    │   ├── ClusterError                   a Ray cluster is gone or has no place for a job
    │   └── UnavailableError               a target can't measure now; also a MeasureError
    │       └── UnreachableError           the device of a target does not answer or vanished
    ├── AllFailedError (RuntimeError)      all candidates of a study fail
    ├── JobError (RuntimeError)            the result of a job can't be used
    ├── OriginalError (RuntimeError)       limits depend on scores of the original network, which failed
    ├── StudyError (RuntimeError)          a study is in the wrong state for a request
    └── StoreError (RuntimeError)          the database or the artifact store failed
        └── StorageLostError               the database is unreachable, or its file was removed or replaced

A message gives the value, what is allowed, and what to do.
"""


class NasError(Exception):
    """Base of all errors raised on purpose; the command line prints its message without a traceback."""


class UnknownNameError(NasError, LookupError):
    """No registry, plan or study has the given name."""


class MissingPackageError(NasError, ImportError):
    """A package is not installed that the requested feature needs."""


class PlanError(NasError, ValueError):
    """The user's plan or a value in it is wrong."""


class SpaceError(NasError, ValueError):
    """A search space or a network of it is wrong, or choices do not fit its questions."""


class TaskError(NasError, ValueError):
    """Data is missing, empty or of another shape than declared, or a task's parameter is out of range."""


class ProxyError(NasError, RuntimeError):
    """A zero-cost proxy can't score a network; the network itself may be fine."""


class ExportError(NasError, RuntimeError):
    """An artifact can't be written, or its outputs differ from those of the network."""


class MeasureError(NasError, RuntimeError):
    """A session, runtime or target can't measure."""


class PlaceError(NasError, RuntimeError):
    """The place where work runs is at fault: a disk, a lock, a lost process. The same work may succeed later."""


class UnavailableError(MeasureError, PlaceError):
    """A target can't measure now: its core is in use, or its measuring process was killed."""


class UnreachableError(UnavailableError):
    """The device of a target does not answer or vanished."""


class ClusterError(PlaceError):
    """A Ray cluster is gone, or had no place for a kind of job for too long."""


class AllFailedError(NasError, RuntimeError):
    """All candidates of a study fail, so the plan or the code must be corrected."""


class JobError(NasError, RuntimeError):
    """The result of a job can't be used: a value is not finite, or the worker was lost."""


class OriginalError(NasError, RuntimeError):
    """Limits are relative to scores of the original network, which has none because it failed."""


class StudyError(NasError, RuntimeError):
    """A study is in the wrong state for a request."""


class StoreError(NasError, RuntimeError):
    """The database or the artifact store failed."""


class StorageLostError(StoreError):
    """The database was unreachable for too long, or its file was removed or replaced while it was in use."""
