"""What each kind of discovery makes of what real hosts show."""
