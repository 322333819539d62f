"""The file that opens a cluster which somebody else made."""

from pathlib import Path

from infra.errors import SettingsError


def kubeconfig_file(stack: str, file: str, said: str) -> str:
    """The text of the kubeconfig at the path that a stack file says. Raises SettingsError."""
    path = Path(said).expanduser()
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(
            [
                f"{file}: edgefleet:cluster.existing.kubeconfig: {str(path)!r}: {reason}. "
                "Put the cluster's kubeconfig there; or take the key out and `pulumi config set "
                f"--secret kubeconfig -s {stack} < FILE`"
            ]
        ) from None
