"""From a configuration to jobs: the validated configuration, cells, times, references."""
