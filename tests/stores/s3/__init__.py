"""The S3 adapter."""
