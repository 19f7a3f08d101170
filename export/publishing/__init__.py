"""From artefacts to a repository that Triton serves, at rest and live."""
