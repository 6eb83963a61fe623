"""What a person asks of a running server: processes, logs, one-off commands."""
