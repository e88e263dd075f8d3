"""One thin command a workflow rule: read files, call the library, write files."""
