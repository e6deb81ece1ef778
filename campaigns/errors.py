"""Everything this package raises on purpose.

WinbackError
├── ConfigError              a setting is missing, wrong or contradicts another
├── InputError               a file cannot be taken as it is; nothing of it was
├── CampaignFileError        a campaign file is wrong; says where and what is allowed
├── NotFoundError            what was named does not exist
├── ActionRefusedError       what was asked is not allowed as things stand
├── SenderBusyError          another process sends from this database
├── ModelMismatchError       a model file does not fit this code or this data
├── TemplateError            a template cannot be compiled; nothing was sent
├── RenderError              one mail cannot be rendered; the others go on
├── NotTrustedError          a message from outside is none of ours, or was changed
└── SendError                SES did not say that it took the mail
    ├── RetryLaterError      nothing was taken; try again later
    │   └── ThrottledError   for it was more than SES takes at a time
    ├── RejectedError        this mail will never be taken
    ├── CampaignHaltedError  no mail of this campaign would be taken; pause it
    ├── SendingHaltedError   nothing may be sent for now; stop the run
    └── OutcomeUnknownError  whether it was taken is not known; only events can tell
"""


class WinbackError(Exception):
    """Anything wrong that a person can act on; its text says how."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the sentence, and not the way to it."""
        return [str(self)]


class ConfigError(WinbackError):
    """A setting is missing, wrong or contradicts another."""


class InputError(WinbackError):
    """A file cannot be taken as it is; nothing of it was taken."""


class CampaignFileError(WinbackError):
    """A campaign file is wrong."""


class NotFoundError(WinbackError):
    """What was named does not exist."""


class ActionRefusedError(WinbackError):
    """What was asked is not allowed as things stand."""


class SenderBusyError(WinbackError):
    """Another process already sends from this database."""


class ModelMismatchError(WinbackError):
    """A model file does not fit this code or this data."""


class TemplateError(WinbackError):
    """A template cannot be compiled."""


class RenderError(WinbackError):
    """One mail cannot be rendered."""


class NotTrustedError(WinbackError):
    """A message from outside is none of ours, or was changed."""


class SendError(WinbackError):
    """SES did not say that it took the mail."""


class RetryLaterError(SendError):
    """Nothing was taken, for no connection was ever made: try again later."""


class ThrottledError(RetryLaterError):
    """Nothing was taken, for it was more than SES takes at a time: go slower."""


class RejectedError(SendError):
    """This mail will never be taken."""


class CampaignHaltedError(SendError):
    """Nothing was taken, and no mail like it will be: pause the campaign."""


class SendingHaltedError(SendError):
    """Nothing may be sent for now, by anyone: paused, suspended, not permitted."""


class OutcomeUnknownError(SendError):
    """The request left and no clear answer came back; only an event can tell."""
