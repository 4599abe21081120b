"""Named errors. Each message is one sentence that says what is wrong and what to do."""


class SafeO2OError(Exception):
    """Base of every error a user can cause; the command line prints it without a traceback."""


class UsageError(SafeO2OError):
    """An argument, parameter or option is unknown or out of range."""


class BaseFileError(UsageError):
    """The file that describes a base is missing or has an impossible key or value; the message names it."""


class LayoutError(SafeO2OError):
    """A scene layout given to `reset` has unknown keys or impossible values."""


class StoreError(SafeO2OError):
    """A segment store cannot be opened, read or written."""


class CorruptRecordError(StoreError):
    """A stored record fails its checksum."""


class RecordingError(SafeO2OError):
    """A bag, tub or folder of pictures cannot be read or written; the message names the file."""


class BundleError(SafeO2OError):
    """A model bundle is refused; the running bundle stays."""


class BundleMissingError(BundleError):
    """The bundle directory, or a file in it, does not exist."""


class BundleSchemaError(BundleError):
    """The manifest is not valid JSON, lacks a field, or has a field of the wrong type."""


class BundleVersionError(BundleError):
    """The manifest's schema version is not one this software reads."""


class BundleHashError(BundleError):
    """A file's sha256 differs from the one in the manifest."""


class BundleShapeError(BundleError):
    """A network's inputs or outputs differ from what the manifest promises."""


class BundleNonFiniteError(BundleError):
    """A probe step of a network gives NaN or infinity."""


class BundleMismatchError(BundleError):
    """The bundle was made for another task, camera set, robot or control period."""


class BundleSignatureError(BundleError):
    """A key is configured, and the bundle's signature is missing or not by it."""


class SignatureKeyError(UsageError):
    """A key file is missing, unreadable, or not an Ed25519 key."""


class OfferError(SafeO2OError):
    """What was said about a bundle on a topic cannot be understood."""


class TransferError(SafeO2OError):
    """A message of a file transfer cannot be used."""


class NonFiniteError(SafeO2OError):
    """A value that must be finite is NaN or infinite; the message names it."""


class FrameError(SafeO2OError):
    """An image has a size, type or encoding that cannot be used."""


class GraphError(SafeO2OError):
    """The ROS graph cannot run; the message names the node that owes an answer."""


class MissingExtraError(SafeO2OError):
    """An optional dependency is not installed; the message gives the one line that installs it."""


class ResourceError(SafeO2OError):
    """A file shipped with the package is not where any kind of installation puts it."""


class WorkerError(SafeO2OError):
    """A process that works for a command has died."""
