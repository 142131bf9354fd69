"""What can go wrong, by whose fault it is: each message says value, rule and remedy."""


class CloudmaskError(ValueError):
    """Base of all errors this package raises on purpose."""


class OptionError(CloudmaskError):
    """An option has a value that cannot work."""


class BandError(CloudmaskError):
    """A band that the network needs is missing or ambiguous."""


class AmbiguousBandError(BandError):
    """A band is there more than once; to do without it would be a guess, too."""


class CubeError(CloudmaskError):
    """The cube has dimensions, sizes or a dtype that cannot be masked."""


class ModelError(CloudmaskError):
    """A network is unknown, absent, damaged, or contradicts its manifest."""


class PresetWarning(UserWarning):
    """The values cannot be what the chosen preset says they are."""
