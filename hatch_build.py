"""Ships templates/ and notebooks/ inside the wheel, as folders of campaigns/.

Only for a real wheel: in an editable install the checkout's own folders are
found by `campaigns.shipped`, and a copy would go stale unseen.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FoldersInTheWheel(BuildHookInterface):  # type: ignore[type-arg]
    """Add both to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Map the folders into the package unless the build is editable."""
        if version == "standard":
            for folder in ("templates", "notebooks"):
                build_data["force_include"][folder] = f"campaigns/{folder}"
