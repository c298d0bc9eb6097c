"""AWS: tables, queues, parameters, mail and the archive."""
