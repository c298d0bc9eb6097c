"""What it costs: the report of what was spent, and the forecast of a month."""
