"""Ships templates/ inside the wheel, as campaigns/templates.

Only for a real wheel: in an editable install the checkout's own templates/ is
found by `campaigns.shipped`, and a copy would go stale unseen.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TemplatesInTheWheel(BuildHookInterface):  # type: ignore[type-arg]
    """Add templates/ to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map the folder into the package unless the build is editable."""
        if version == "standard":
            build_data["force_include"]["templates"] = "campaigns/templates"
