"""The runtime check: built functions under the real `awslambdaric`, fed with every event in events/."""
