"""Claude's API played on one machine: what it answers, what it refuses, and what it charges."""
