"""The three errors a user can meet, and the exit status of each."""


class MedidiffError(Exception):
    """An error with advice: which study, file or key, what was found, what was expected, what to do."""

    exit_status = 1


class ConfigError(MedidiffError):
    """Settings, study table or command line are wrong; nothing has run."""

    exit_status = 2


class DataError(MedidiffError):
    """An input file cannot be used as it is."""

    exit_status = 3


class NumericsError(MedidiffError):
    """A computation left the range in which its result means something."""

    exit_status = 4
