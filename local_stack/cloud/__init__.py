"""AWS on one machine, made from template.yaml: resources, policies, schedules, queues and functions."""
