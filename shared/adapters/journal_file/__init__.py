"""The journal as a file: one JSON object a line, and the days' roots at the end."""
