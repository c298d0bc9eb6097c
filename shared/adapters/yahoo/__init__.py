"""Yahoo Finance's chart endpoint: the backup price source, unofficial, never good enough to open a position."""
