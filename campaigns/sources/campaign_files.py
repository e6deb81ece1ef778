"""Campaign files: what a marketer wrote, checked against what there is."""

from collections.abc import Collection
from pathlib import Path

from campaigns.domain.campaign import GENERAL, CampaignDefinition, template_for
from campaigns.errors import CampaignFileError
from campaigns.sources.written import line_of, read_toml


def read_campaign(
    path: Path, *, segments: Collection[str], templates: Collection[str]
) -> CampaignDefinition:
    """Return the campaign in the file at `path`.

    Args:
        path: A TOML file; docs/reference/campaign-file.md tells what may stand in it.
        segments: The segments there are, `general` for unsure ones not among them.
        templates: The e-mail templates there are.

    Raises:
        CampaignFileError: Something in it is wrong, or names a segment or template
            that there is not; names the line and the allowed values.
    """
    campaign = read_toml(path, CampaignDefinition, error=CampaignFileError)
    known = [*segments, GENERAL]
    text = path.read_text("utf-8")
    for segment in campaign.audience.segments or ():
        if segment not in known:
            line = line_of(text, ["audience", "segments"])
            raise CampaignFileError(
                f"{path}, line {line}: there is no segment {segment!r}; "
                f"allowed: {', '.join(known)}"
            )
    wanted = campaign.audience.segments or known
    for number, step in enumerate(campaign.steps):
        for name in [template_for(t, s) for s in wanted for t in step.texts]:
            if name not in templates:
                key = "templates" if step.templates else "template"
                line = line_of(text, ["steps", number, key])
                raise CampaignFileError(
                    f"{path}, line {line}: there is no e-mail template {name!r}; "
                    f"allowed: {', '.join(sorted(templates))}"
                )
    return campaign
