"""What can be wrong with bytes that claim to be an event."""

from __future__ import annotations


class SchemaError(ValueError):
    """Base of the errors of this package; ``cause`` is one word for counters and headers."""

    cause = "invalid"


class EmptyValue(SchemaError):
    """The record has no value where its topic demands one."""

    cause = "empty_value"


class NotFramed(SchemaError):
    """The value does not begin with the Confluent frame (magic byte 0 and a schema id)."""

    cause = "not_framed"


class UnknownSchema(SchemaError):
    """The frame names a schema id that no registry knows."""

    cause = "unknown_schema"


class WrongSchema(SchemaError):
    """The bytes do not decode under the schema that the frame names, or not to the last byte."""

    cause = "wrong_schema"


class BadHeaders(SchemaError):
    """A header that must be a number, an op or a time is not."""

    cause = "bad_headers"


class BadValue(SchemaError):
    """The value decodes, but cannot be true: an amount below zero, a key that is not its own."""

    cause = "bad_value"
