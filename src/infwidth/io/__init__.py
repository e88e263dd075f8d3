"""Files and configuration: atomic tables, manifests, the validated configuration."""
