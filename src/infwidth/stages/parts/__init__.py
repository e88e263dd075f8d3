"""What stages share: the job, lines of a table, batches of networks, recorders."""
