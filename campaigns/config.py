"""Settings, read once: from winback.toml, the environment and the secrets file.

The environment wins over the file, so one workspace can be run in several places:
`WINBACK_SENDING__ENDPOINT_URL` sets `endpoint_url` in `[sending]`. Secrets stand in a
file of their own that only its owner may read; nothing else ever writes them down.
"""

import logging
import os
import secrets as randomness
import stat
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from email.utils import formataddr
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from campaigns.domain.definitions import ChurnDefinition, WinBackDefinition
from campaigns.domain.headers import header_text
from campaigns.domain.records import ZoneName
from campaigns.errors import ConfigError
from campaigns.rules.measure.verdict import UNHEARD_OF

SETTINGS_FILE: Final = "winback.toml"
SECRETS_FILE: Final = "secrets.toml"
_KEY_BYTES: Final = 32
_SHARE = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """What every section shares: frozen, and closed to unknown settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CompanySettings(Section):
    """Who writes the mails.

    Attributes:
        name: As customers know it.
        signature: The last line of every mail.
        postal_address: Required in commercial mail by law in most places.
        return_url: Where the button of a mail leads.
    """

    name: str
    signature: str
    postal_address: Annotated[str, Field(min_length=10)]
    return_url: Annotated[str, Field(pattern=r"^https?://\S+$")]


class DatabaseSettings(Section):
    """Where everything is kept; a relative SQLite file lies in the workspace."""

    url: str = "sqlite:///winback.db"


class ChurnSettings(Section):
    """When an account counts as churned."""

    by_subscription: bool = True
    silent_days: Annotated[int, Field(ge=1, le=730)] | None = None

    def definition(self) -> ChurnDefinition:
        """Return the definition, with a version made of its values."""
        parts = ["ended"] * self.by_subscription
        parts += [f"silent-{self.silent_days}"] if self.silent_days else []
        if not parts:
            raise ConfigError(
                "[churn]: with by_subscription = false, set silent_days: otherwise no "
                "account can ever churn"
            )
        silent_for = timedelta(days=self.silent_days) if self.silent_days else None
        return ChurnDefinition("+".join(parts), self.by_subscription, silent_for)


class WinBackSettings(Section):
    """When a churned account counts as won back."""

    counts: Literal["paid", "used", "either"] = "either"
    window_days: Annotated[int, Field(ge=1, le=365)] = 30
    resubscribe_grace_days: Annotated[int, Field(ge=0, le=30)] = 3

    def definition(self) -> WinBackDefinition:
        """Return the definition, with a version made of its values."""
        return WinBackDefinition(
            f"{self.counts}-{self.window_days}d-grace-{self.resubscribe_grace_days}d",
            self.counts,
            timedelta(days=self.window_days),
            timedelta(days=self.resubscribe_grace_days),
        )


class ProgrammeSettings(Section):
    """The holdout, and what win-backs are compared with.

    Attributes:
        holdout_share: Of churned accounts that are never written to.
        baseline: The pilot's win-back rate.
        baseline_accounts: How many accounts the pilot had; None if nobody knows: then
            its rate is taken as certain, and reports say so.
        unheard_of_lift: A lift that is larger for certain is held for a mistake in the
            data, and no verdict is given.
        default_time_zone: Of accounts whose zone is not known.
    """

    holdout_share: _SHARE = 0.2
    baseline: Annotated[float, Field(gt=0, lt=1)] = 0.12
    baseline_accounts: Annotated[int, Field(gt=0)] | None = None
    unheard_of_lift: _SHARE = UNHEARD_OF
    default_time_zone: ZoneName = "UTC"


class SubscriberSettings(Section):
    """Who gets the weekly report by mail, and in which zone Monday begins."""

    address: EmailStr
    time_zone: ZoneName = "UTC"


class LearningSettings(Section):
    """How what is learnt is used, and what mails cost.

    Attributes:
        weekly: Whether models are learnt anew every Sunday.
        promotes: Whether a model whose numbers allow it is used without being asked.
        exploration_share: Of the accounts that no mail is expected to help, those that
            are enrolled all the same, by lot, so that it stays known.
        mail_cost: What a mail costs, in win-backs: 0.01 is a hundredth of one.
        discount_cost: What it offers to those that come back because of it.
        unsubscribe_cost: What losing an address for good costs.
        unsubscribed_share: The share of mails that lose one.
    """

    weekly: bool = True
    promotes: bool = False
    exploration_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    mail_cost: Annotated[float, Field(ge=0, lt=1)] = 0.0
    discount_cost: Annotated[float, Field(ge=0, lt=1)] = 0.0
    unsubscribe_cost: Annotated[float, Field(ge=0)] = 0.0
    unsubscribed_share: _SHARE = 0.0

    @property
    def costs(self) -> dict[str, float]:
        """Of a mail, as models are judged with them."""
        return {
            "mail": self.mail_cost,
            "discount": self.discount_cost,
            "unsubscribe": self.unsubscribe_cost,
            "unsubscribed": self.unsubscribed_share,
        }

    @property
    def least_uplift(self) -> float:
        """What a mail has to add to the chance of a return to be worth its costs."""
        fixed = self.mail_cost + self.unsubscribe_cost * self.unsubscribed_share
        return fixed / (1 - self.discount_cost)


class ReportSettings(Section):
    """The weekly report by mail.

    Attributes:
        hour: At which hour of their Mondays subscribers get it, but not before it is
            made at 06:00 UTC.
        subscribers: Who gets it.
    """

    hour: Annotated[int, Field(ge=0, le=23)] = 8
    subscribers: tuple[SubscriberSettings, ...] = ()


class SendingSettings(Section):
    """How mails leave.

    Attributes:
        from_address: The sender, from a domain that SES has verified.
        from_name: The sender's name.
        reply_to: Where replies go; None for the sender.
        endpoint_url: An SES endpoint; None starts the local stand-in.
        queue_url: The queue that SES's events arrive in; None asks the endpoint for the
            queue `winback-events`.
        region: The AWS region.
        configuration_set: The set whose events reach the queue.
        sns_topics: The ARNs of SNS topics that may post events to `/sns`; none: the
            address is closed, and events come by the queue.
        sns_sha1: Whether SNS's first signature version, by SHA-1, is accepted too.
        senders: How many requests are under way at the same time.
        bulk: Whether a request holds up to 50 mails (SendBulkEmail). It saves round
            trips; an unclear answer then leaves up to 50 mails in doubt.
        reserve_share: The share of SES's rate and daily quota that is left to the
            company's other mail.
        warm_up_from: The first day of a domain that mailboxes do not know yet: 200
            mails on that day, and half as many more on each next one.
        public_base_url: Under which address unsubscribe links reach this Winback.
        listen_port: The port the unsubscribe page listens on.
    """

    from_address: EmailStr
    from_name: Annotated[str, AfterValidator(header_text)] = ""
    reply_to: EmailStr | None = None
    endpoint_url: str | None = None
    queue_url: str | None = None
    region: str = "eu-west-1"
    configuration_set: str = "winback"
    sns_topics: tuple[str, ...] = ()
    sns_sha1: bool = False
    senders: Annotated[int, Field(ge=1, le=64)] = 8
    bulk: bool = False
    reserve_share: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    warm_up_from: date | None = None
    public_base_url: Annotated[str, Field(pattern=r"^https?://\S+[^/]$")]
    listen_port: Annotated[int, Field(ge=0, le=65535)] = 8025

    @property
    def sender(self) -> str:
        """The From header, quoted and encoded as it must be."""
        return formataddr((self.from_name, self.from_address))


class LocalSesSettings(Section):
    """What the local stand-in for SES allows."""

    max_per_second: Annotated[float, Field(gt=0)] = 50
    max_per_day: Annotated[float, Field(gt=0)] = 50_000
    recipients: Path | None = None


class ProductSettings(Section):
    """The product's words: what features are called in mails."""

    features: dict[str, str] = Field(default_factory=dict)


class Secrets(Section):
    """Keys; losing them breaks suppression, holdout and links, so back them up."""

    holdout_key: SecretStr
    address_key: SecretStr
    token_keys: dict[str, SecretStr]
    encryption_key: SecretStr


class Settings(BaseSettings):
    """Everything that can be set. Frozen; only cli, web and wiring ever see it."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="WINBACK_",
        env_nested_delimiter="__",
    )

    company: CompanySettings
    sending: SendingSettings
    database: DatabaseSettings = DatabaseSettings()
    churn: ChurnSettings = ChurnSettings()
    win_back: WinBackSettings = WinBackSettings()
    programme: ProgrammeSettings = ProgrammeSettings()
    learning: LearningSettings = LearningSettings()
    report: ReportSettings = ReportSettings()
    local_ses: LocalSesSettings = LocalSesSettings()
    product: ProductSettings = ProductSettings()
    secrets: Secrets

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the files."""
        del dotenv_settings, file_secret_settings
        files = [
            TomlConfigSettingsSource(settings_cls, path)
            for path in settings_cls.model_config.get("toml_file") or ()  # type: ignore[union-attr]
        ]
        return (init_settings, env_settings, *files)


def read_settings(workspace: Path) -> Settings:
    """Return the settings of a workspace.

    Raises:
        ConfigError: A file is missing, cannot be read or holds something wrong; says
            which setting and what to do.
    """
    files = [workspace / SETTINGS_FILE, workspace / SECRETS_FILE]
    for path in files:
        _check_toml(path, workspace)
    _check_mode(files[1])

    class InThisWorkspace(Settings):
        model_config = SettingsConfigDict(toml_file=files)

    try:
        return InThisWorkspace()
    except ValidationError as error:
        raise ConfigError(_explained(error, workspace)) from error


def workspace_from_environment() -> Path | None:
    """Return the workspace that WINBACK_WORKSPACE names, or None."""
    named = os.environ.get("WINBACK_WORKSPACE")  # noqa: TID251 — this is its home
    return Path(named) if named else None


def log_level_from_environment(*, default: int) -> int:
    """Return the level that WINBACK_LOG_LEVEL names, such as `info`.

    Raises:
        ConfigError: It names none.
    """
    named = os.environ.get("WINBACK_LOG_LEVEL")  # noqa: TID251 — this is its home
    if named is None:
        return default
    level = logging.getLevelNamesMapping().get(named.upper())
    if level is None:
        raise ConfigError(
            f"WINBACK_LOG_LEVEL: {named!r} is no level; there are: debug, info, "
            "warning, error"
        )
    return level


def _check_toml(path: Path, workspace: Path) -> None:
    try:
        tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist; `winback init {workspace}` makes a workspace, and "
            "--workspace names another one"
        ) from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _check_mode(path: Path) -> None:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path} can be read by others; run: chmod 600 {path}")


def _explained(error: ValidationError, workspace: Path) -> str:
    """Return what is wrong without the value itself: it may be a secret."""
    lines = []
    for each in error.errors(include_input=False, include_url=False):
        *section, name = (str(part) for part in each["loc"])
        place = f"[{'.'.join(section)}] {name}" if section else f"[{name}]"
        lines.append(f"{workspace / SETTINGS_FILE}: {place}: {each['msg']}")
    return "\n".join(lines)


def fresh_key() -> str:
    """Return a random key, in hexadecimal."""
    return randomness.token_hex(_KEY_BYTES)


def new_secrets(make_key: Callable[[], str] = fresh_key) -> str:
    """Return the text of a secrets file with four new keys."""
    return (
        "# Keys of this workspace. Back this file up, and keep it out of version\n"
        "# control: without it suppressed addresses are not recognised, held-out\n"
        "# accounts not known, and old unsubscribe links not understood.\n\n"
        "[secrets]\n"
        f'holdout_key = "{make_key()}"\n'
        f'address_key = "{make_key()}"\n'
        f'encryption_key = "{make_key()}"\n\n'
        "# The last one signs; the others still verify.\n"
        "[secrets.token_keys]\n"
        f'1 = "{make_key()}"\n'
    )


def as_bytes(secret: SecretStr) -> bytes:
    """Return a key's bytes.

    Raises:
        ConfigError: It is not written in hexadecimal.
    """
    try:
        key = bytes.fromhex(secret.get_secret_value())
    except ValueError as error:
        raise ConfigError(f"{SECRETS_FILE}: keys are hexadecimal numbers") from error
    if len(key) < _KEY_BYTES // 2:
        raise ConfigError(
            f"{SECRETS_FILE}: a key needs at least {_KEY_BYTES // 2} bytes"
        )
    return key


def token_keys(secrets: Secrets) -> Mapping[str, bytes]:
    """Return the keys of unsubscribe links, the signing one last."""
    return {name: as_bytes(key) for name, key in secrets.token_keys.items()}
