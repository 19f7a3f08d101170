"""What is handed out and kept."""

from pathlib import Path

from pydantic import Field, SecretStr

from gateway.settings.section import Section


class StorageSettings(Section):
    """Pictures handed out as URLs."""

    images_directory: Path | None = Field(default=None, description="Default: `images` in the runtime directory.")
    url_ttl_seconds: int = Field(default=3600, ge=1, description="How long a picture and its URL live.")
    url_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs picture URLs; the same on every replica. Default: made once, kept in the runtime directory.",
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://user:password@host:5432/name, shared by every replica; "
        "default: SQLite in the runtime directory.",
    )
    bucket: str | None = Field(
        default=None, min_length=1, description="S3 bucket for pictures instead of the local folder; must exist."
    )
    bucket_prefix: str = Field(default="", description="Before every key in the bucket.")
    bucket_region: str | None = Field(default=None, description="Default: AWS_REGION.")
    bucket_endpoint: str | None = Field(
        default=None, pattern=r"^https?://", description="Of stores that speak S3, such as MinIO; default: AWS."
    )
    bucket_access_key_id: SecretStr | None = Field(
        default=None, description="Default: as AWS' own tools find them, e.g. AWS_ACCESS_KEY_ID or the instance's role."
    )
    bucket_secret_access_key: SecretStr | None = Field(default=None, description="Of that key.")


class JobSettings(Section):
    """Work that is answered later: requests with `async`."""

    max_active: int = Field(
        default=4, ge=1, description="Jobs that this gateway does at once; each takes one of generation.max_concurrent."
    )
    max_queued: int = Field(
        default=256, ge=1, description="Jobs that may wait, in all replicas together; more are answered 429."
    )
    result_ttl_seconds: float = Field(
        default=86_400, gt=0, description="How long a job that has ended keeps its result and pictures; then 410."
    )
    tombstone_seconds: float = Field(default=604_800, ge=0, description="After that 410 becomes 404.")
    lease_seconds: float = Field(
        default=15, gt=0, description="A gateway silent for so long is taken for dead, and its jobs are begun anew."
    )
    max_attempts: int = Field(default=5, ge=1, description="How often a job is begun before it fails.")
    listing: bool | None = Field(
        default=None,
        description="Whether GET /v1/jobs shows everybody's jobs; default: only where the server listens on loopback "
        "and has no public_url.",
    )
