"""What goes wrong with databases, in words that name the thing, the value and the remedy."""


class SinedonError(Exception):
    """Base of all errors that sinedon raises itself."""


class ConfigurationError(SinedonError):
    """`sinedon.cfg`, a project or a database is missing or wrong."""


class ConnectionFailure(ConfigurationError):
    """A database that the configuration names cannot be reached."""


class SchemaError(SinedonError):
    """A row cannot be written because the live database lacks the table or the column."""
