"""Who may come in: SSH keys, git and file copies."""
