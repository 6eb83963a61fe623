"""What an app says of itself: its Procfile and its settings."""
